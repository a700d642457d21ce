"""Joint network and Transducer loss in one, over tiles of time.

The logits of a tile exist while it is worked on, and are computed again for the
backward pass: the tensor (B, T, U, V), which dwarfs all else in training, never exists.
Only where it is small, or that of the first tiles, it is kept to save the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet.nets.pytorch_backend.linear import linear, matmul
from espnet.nets.pytorch_backend.nets_utils import tanh_
from espnet.nets.pytorch_backend.transducer.lattice import sum_over_paths
from espnet.nets.pytorch_backend.transducer.loss import (
    REDUCTIONS,
    blocks,
    checked,
    next_symbols,
    node_gradients,
    node_scores,
    path_weights,
)

# bytes of probabilities that are kept
KEPT_BYTES = {"cpu": 1 << 26, "cuda": 1 << 28}


class JointActivation(NamedTuple):
    """An activation, in place, and the derivative by its input.

    Attributes:
        apply: changes and returns its input.
        derivative: (gradient of the output, input, output) -> gradient of the input.
        by_output: the derivative needs the output only.
    """

    apply: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor, Tensor], Tensor]
    by_output: bool = True


JOINT_ACTIVATIONS = {
    "relu": JointActivation(
        torch.relu_, lambda grad, _, ys: torch.ops.aten.threshold_backward(grad, ys, 0)
    ),
    "tanh": JointActivation(
        tanh_, lambda grad, _, ys: torch.ops.aten.tanh_backward(grad, ys)
    ),
    "swish": JointActivation(
        lambda xs: F.silu(xs, inplace=True),
        lambda grad, xs, _: torch.ops.aten.silu_backward(grad, xs),
        by_output=False,
    ),
}


def joint_transducer_loss(
    enc: Tensor,
    dec: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    activation: str = "tanh",
    blank: int = 0,
    fastemit_lambda: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The loss of logits W activation(enc(t) + dec(u)) + b.

    Args:
        enc: frames in the joint space (B, T, J).
        dec: label histories in the joint space (B, U, J), U = L + 1.
        weight, bias: W (V, J) and b (V,).
        activation: a key of ``JOINT_ACTIVATIONS``.
        targets, logit_lengths, target_lengths, blank, fastemit_lambda, reduction: see
            :func:`espnet.nets.pytorch_backend.transducer.loss.transducer_loss`.

    Raises:
        ValueError: shapes, lengths or labels do not fit together.
    """
    shape = (*enc.shape[:2], dec.shape[1], weight.shape[0])
    targets, logit_lengths, target_lengths = checked(
        shape, targets, logit_lengths, target_lengths, blank
    )
    losses = _JointLoss.apply(
        *(enc, dec, weight, bias, targets, logit_lengths, target_lengths),
        *(activation, blank, fastemit_lambda),
    )
    return REDUCTIONS[reduction](losses)


class _JointLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        enc: Tensor,
        dec: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        logit_lengths: Tensor,
        target_lengths: Tensor,
        activation: str,
        blank: int,
        fastemit_lambda: float,
    ) -> Tensor:
        precise = torch.promote_types(enc.dtype, torch.float32)
        symbols = next_symbols(targets, blank).to(enc.device)
        ctx.cut = list(
            blocks(
                logit_lengths,
                target_lengths,
                2 * len(weight) * precise.itemsize,  # logits and probabilities
                enc.device.type,
            )
        )
        ctx.activation = JOINT_ACTIVATIONS[activation]
        ctx.kept = {}
        needed = any(ctx.needs_input_grad)
        room = KEPT_BYTES.get(enc.device.type, 0) if needed else 0
        scores = enc.new_zeros(*enc.shape[:2], dec.shape[1], 2, dtype=precise)
        with torch.autocast(enc.device.type, enabled=False):
            last, shift = weight.to(enc.dtype), bias.to(enc.dtype)
            for number, (row, begin, end, width) in enumerate(ctx.cut):
                sums = enc[row, begin:end, None] + dec[row, :width]
                logits = linear(ctx.activation.apply(sums), last, shift)
                probabilities = torch.softmax(logits, -1, dtype=precise)
                room -= probabilities.nbytes
                if room >= 0:
                    ctx.kept[number] = probabilities
                found = node_scores(logits, probabilities, symbols[row, :width])
                scores[row, begin:end, :width] = found
        blanks, labels = scores.unbind(-1)
        lattice = sum_over_paths(blanks, labels, logit_lengths, target_lengths, needed)
        if needed:
            paths = path_weights(lattice, fastemit_lambda).to(precise)
            ctx.save_for_backward(enc, dec, weight, bias, symbols, paths)
        return -lattice.log_likelihood.to(precise)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        enc, dec, weight, bias, symbols, paths = ctx.saved_tensors
        precise = paths.dtype
        last, shift = weight.to(enc.dtype), bias.to(enc.dtype)
        grad_enc, grad_dec, grad_weight, grad_bias = (
            torch.zeros_like(x, dtype=precise) for x in (enc, dec, weight, bias)
        )
        paths = paths * grad[:, None, None, None]
        learns = ctx.needs_input_grad[2]  # not so in auxiliary losses
        with torch.autocast(enc.device.type, enabled=False):
            for number, (row, begin, end, width) in enumerate(ctx.cut):
                sums = enc[row, begin:end, None] + dec[row, :width]
                outputs = sums if ctx.activation.by_output else sums.clone()
                hidden = ctx.activation.apply(outputs)
                probabilities = ctx.kept.pop(number, None)
                if probabilities is None:
                    logits = linear(hidden, last, shift)
                    probabilities = torch.softmax(logits, -1, dtype=precise)
                gradients = node_gradients(
                    probabilities, paths[row, begin:end, :width], symbols[row, :width]
                )
                flat = gradients.flatten(0, 1)
                if learns:
                    grad_bias += flat.sum(0)
                flat = flat.to(enc.dtype)
                if learns:
                    _add_product(grad_weight, flat, hidden.flatten(0, 1))
                back = matmul(flat, last).view_as(hidden)
                back = ctx.activation.derivative(back, sums, hidden).to(precise)
                grad_enc[row, begin:end] = back.sum(1)
                grad_dec[row, :width] += back.sum(0)
        found = (
            *(grad_enc.to(enc.dtype), grad_dec.to(dec.dtype)),
            *(grad_weight.to(weight.dtype), grad_bias.to(bias.dtype)),
        )
        needed = ctx.needs_input_grad
        return *(g if n else None for g, n in zip(found, needed, strict=False)), *(
            [None] * 6
        )


def _add_product(total: Tensor, lefts: Tensor, rights: Tensor) -> None:
    """total (V, J) += lefts (N, V) transposed times rights (N, J)."""
    total.add_(matmul(lefts.t(), rights))
