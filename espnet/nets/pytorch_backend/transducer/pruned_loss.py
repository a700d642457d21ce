"""The pruned Transducer loss.

Kuang et al., "Pruned RNN-T for fast, memory-efficient ASR training", 2022.

A joiner that only adds scores of frames to scores of label histories is cheap to sum
over. Where its paths are likely, and only there, the real joint network is evaluated:
a few neighbouring label positions at each frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from espnet.nets.pytorch_backend.transducer.lattice import sum_over_paths
from espnet.nets.pytorch_backend.transducer.loss import (
    checked,
    next_symbols,
    symbol_scores,
)

# log-probability of arcs outside: less than whole utterances have, and small enough for
# sums over thousands of frames to keep their digits
OUTSIDE = -1e5


class PrunedLoss(NamedTuple):
    """Both losses, each the mean over utterances.

    Attributes:
        simple: of the joiner that adds.
        pruned: of the joint network, over the paths that are left.
    """

    simple: Tensor
    pruned: Tensor


def pruned_transducer_loss(
    simple_enc: Tensor,
    simple_dec: Tensor,
    joint: Callable[[Tensor, Tensor], Tensor],
    enc: Tensor,
    dec: Tensor,
    targets: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    prune_range: int = 5,
    blank: int = 0,
    fastemit_lambda: float = 0.0,
) -> PrunedLoss:
    """The loss over paths that a simple joiner finds likely.

    Args:
        simple_enc: scores of frames (B, T, V).
        simple_dec: scores of label histories (B, U, V), U = L + 1.
        joint: frames and label histories (..., J) -> logits (..., V).
        enc: frames in the joint space (B, T, J).
        dec: label histories in the joint space (B, U, J).
        targets, logit_lengths, target_lengths, blank, fastemit_lambda: see
            :func:`espnet.nets.pytorch_backend.transducer.loss.transducer_loss`.
        prune_range: label positions that are looked at in each frame, 2 or more; it is
            enlarged where there are too few frames for the labels.

    Raises:
        ValueError: shapes, lengths or labels do not fit together.
    """
    shape = (*simple_enc.shape[:2], *simple_dec.shape[1:])
    targets, frames, counts = checked(
        shape, targets, logit_lengths, target_lengths, blank
    )
    targets = targets.to(enc.device)
    simple = simple_scores(simple_enc, simple_dec, targets, blank)
    losses, visits = _PathSum.apply(*simple, frames, counts, fastemit_lambda)
    needed = int((-(-counts // frames)).max()) + 1
    size = min(max(2, prune_range, needed), shape[2])
    starts = window_starts(visits, frames, counts, size)
    window = starts[:, :, None] + torch.arange(size, device=enc.device)  # (B, T, S)
    rows = torch.arange(len(enc), device=enc.device)[:, None, None]
    seen = dec.flatten(0, 1).index_select(0, (rows * shape[2] + window).flatten())
    logits = joint(enc[:, :, None], seen.view(*window.shape, -1))
    symbols = next_symbols(targets, blank)[rows, window]
    blanks, labels = symbol_scores(logits, symbols).unbind(-1)
    labels = torch.cat(  # none leads out of the window
        [labels[..., :-1], torch.full_like(labels[..., :1], OUTSIDE)], -1
    )
    outside = labels.new_full(shape[:3], OUTSIDE)
    scores = (
        outside.scatter(2, window, blanks),
        outside.scatter(2, window, labels),
    )
    pruned, _ = _PathSum.apply(*scores, frames, counts, fastemit_lambda)
    return PrunedLoss(losses.mean(), pruned.mean())


def simple_scores(
    enc: Tensor, dec: Tensor, targets: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of blank and of the next label (B, T, U) where logits are sums.

    The sum over symbols of exp(enc + dec) is a matrix product, so that no tensor
    (B, T, U, V) is needed.

    Args:
        enc: (B, T, V).
        dec: (B, U, V).
        targets: labels (B, L).
        blank: id of blank.
    """
    precise = torch.promote_types(enc.dtype, torch.float32)
    with torch.autocast(enc.device.type, enabled=False):
        enc, dec = enc.to(precise), dec.to(precise)
        high_enc = enc.detach().amax(-1, keepdim=True)
        high_dec = dec.detach().amax(-1, keepdim=True)
        sums = (enc - high_enc).exp() @ (dec - high_dec).exp().transpose(1, 2)
        tiny = torch.finfo(precise).tiny  # highest symbols that never meet
        total = (sums + tiny).log() + high_enc + high_dec.transpose(1, 2)
        blanks = enc[..., blank, None] + dec[:, None, :, blank] - total
        index = targets[:, None].expand(-1, enc.shape[1], -1)
        of_dec = dec[:, :-1].gather(2, targets[..., None])[..., 0]
        labels = enc.gather(2, index) + of_dec[:, None] - total[..., :-1]
    return blanks, torch.nn.functional.pad(labels, (0, 1))


def window_starts(visits: Tensor, frames: Tensor, counts: Tensor, size: int) -> Tensor:
    """The first label position (B, T) of each frame's window.

    The window holds the most of the paths. Windows begin at 0, end at the last label,
    never go back, and overlap, so that a path leads through them.

    Args:
        visits: share of the paths that pass each node (B, T, U).
        frames: T of each utterance (B,), on the CPU.
        counts: L of each utterance (B,), on the CPU.
        size: positions S of a window.
    """
    device = visits.device
    times = torch.arange(visits.shape[1], device=device)
    frames, counts = frames.to(device)[:, None], counts.to(device)[:, None]
    starts = visits.unfold(2, size, 1).sum(-1).argmax(-1)
    last = (counts + 1 - size).clamp(min=0)
    left = (frames - 1 - times).clamp(min=0)  # frames to come
    least = (last - left * (size - 1)).clamp(min=0)
    most = torch.minimum(times * (size - 1), last)
    starts = torch.minimum(torch.maximum(starts.cummax(1).values, least), most)
    reach = starts - times * (size - 1)  # an earlier window must reach a later one
    return reach.flip(1).cummax(1).values.flip(1) + times * (size - 1)


class _PathSum(torch.autograd.Function):
    """-log of the sum over paths (B,), and the share of them at each node (B, T, U)."""

    @staticmethod
    def forward(
        ctx: Any,
        blanks: Tensor,
        labels: Tensor,
        frames: Tensor,
        counts: Tensor,
        fastemit_lambda: float,
    ) -> tuple[Tensor, Tensor]:
        lattice = sum_over_paths(blanks, labels, frames, counts)
        visits = (lattice.blanks + lattice.labels).to(blanks.dtype)
        by_label = (lattice.labels * (1.0 + fastemit_lambda)).to(blanks.dtype)
        ctx.save_for_backward(lattice.blanks.to(blanks.dtype), by_label)
        ctx.mark_non_differentiable(visits)
        return -lattice.log_likelihood.to(blanks.dtype), visits

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        by_blank, by_label = ctx.saved_tensors
        scale = -grad[:, None, None]
        return by_blank * scale, by_label * scale, None, None, None
