"""Lengths, masks and labels of padded batches; operations that torch does slower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from espnet.utils.errors import UserError

IGNORE = -1  # the label that pads label sequences
MANY = 1 << 13  # elements for which four operations cost less than one slow one


def make_pad_mask(lengths: Tensor, size: int | None = None) -> Tensor:
    """(B, T) with True = padding; T is ``size``, or the largest of ``lengths`` (B,)."""
    if size is None:
        size = int(lengths.max())
    return torch.arange(size, device=lengths.device) >= lengths[:, None]


def convolve(convolution: nn.Conv2d, xs: Tensor) -> Tensor:
    """The convolution of xs (B, C, T, D), with channels last on the CPU.

    oneDNN's products and the pooling that follows are fastest with them.
    """
    weight = convolution.weight
    if not xs.is_cuda:
        weight = weight.to(memory_format=torch.channels_last)
    stride, padding = convolution.stride, convolution.padding
    return F.conv2d(xs, weight, convolution.bias, stride, padding)


def convolve_frames(convolution: nn.Conv1d, xs: Tensor) -> Tensor:
    """The convolution of xs (B, T, D) over frames -> (B, T', E)."""
    return convolve1d(
        *(xs, convolution.weight, convolution.bias),
        stride=convolution.stride[0],
        padding=int(convolution.padding[0]),
        dilation=convolution.dilation[0],
        groups=convolution.groups,
    )


def convolve1d(
    xs: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """``F.conv1d`` of xs (B, T, D) with channels last -> (B, T', E).

    On the CPU it is the convolution of images of one row. ``F.conv1d`` puts channels
    first there; one kernel for each of 256 channels takes it 25 times as long, and 4
    times with its gradients.
    """
    xs = xs.transpose(1, 2)
    if xs.is_cuda:
        ys = F.conv1d(xs, weight, bias, stride, padding, dilation, groups)
        return ys.transpose(1, 2)
    ys = F.conv2d(
        *(xs[:, :, None], weight[:, :, None], bias),
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
        groups=groups,
    )
    return ys[:, :, 0].transpose(1, 2)


def tanh(xs: Tensor) -> Tensor:
    """The hyperbolic tangent of xs; see :func:`tanh_`."""
    return tanh_(xs.clone()) if _by_sigmoid(xs) else xs.tanh()


def tanh_(xs: Tensor) -> Tensor:
    """The hyperbolic tangent of xs, in its place.

    On the CPU it is 2 sigmoid(2 x) - 1, exact to 2e-7, where it takes less than a sixth
    of the time of torch's.
    """
    if not _by_sigmoid(xs):
        return xs.tanh_()
    if torch.is_grad_enabled() and xs.requires_grad:
        return _Tanh.apply(xs)
    return xs.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)


def _by_sigmoid(xs: Tensor) -> bool:
    return not xs.is_cuda and xs.dtype == torch.float32 and xs.numel() >= MANY


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, xs: Tensor) -> Tensor:
        ys = tanh_(xs)
        ctx.mark_dirty(ys)
        ctx.save_for_backward(ys)
        return ys

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return torch.ops.aten.tanh_backward(grad, *ctx.saved_tensors)


def one_by_one(
    function: Callable[[Tensor, Tensor], Tensor], xs: Tensor, lengths: Tensor
) -> Tensor:
    """Call ``function(xs (B, T, ...), lengths (B,)) -> (B, T', ...)``, in decoding on
    the CPU with each utterance alone.

    Between convolutions so much stands that a batch of it does not fit into the
    processor's cache. What the function gives for padding must not matter.

    Args:
        function: such as convolutions.
        xs: padded to the longest utterance.
        lengths: on the CPU.
    """
    if xs.is_cuda or torch.is_grad_enabled():
        return function(xs, lengths)
    found = [
        function(one[None, : int(length)], length[None])[0]
        for one, length in zip(xs, lengths, strict=True)
    ]
    return pad_sequence(found, batch_first=True)


def label_lengths(ys_pad: Tensor) -> Tensor:
    """Number of labels (B,) of each row of (B, L), padded with -1."""
    return (ys_pad != IGNORE).sum(1)


def decoder_labels(ys_pad: Tensor, eos: int) -> tuple[Tensor, Tensor]:
    """What a decoder reads and what it shall say, for labels (B, L) padded with -1.

    Returns:
        The labels behind the start symbol, padded with ``eos``, and the labels before
        the end symbol, padded with -1; both (B, U), U = L + 1. Start and end symbol are
        the same, ``eos``.
    """
    lengths = label_lengths(ys_pad)
    border = ys_pad.new_full((len(ys_pad), 1), eos)
    ys_in = torch.cat([border, ys_pad.masked_fill(ys_pad == IGNORE, eos)], 1)
    ys_out = torch.cat([ys_pad, torch.full_like(border, IGNORE)], 1)
    return ys_in, ys_out.scatter(1, lengths[:, None], border)


def check_features(xs_pad: Tensor, ilens: Tensor, idim: int) -> None:
    """Refuse a batch (B, T, D) that is not of the model's feature dimension.

    Raises:
        UserError: D differs from ``idim``, or an utterance has no frames.
    """
    if xs_pad.shape[-1] != idim:
        raise UserError(
            f"the features have {xs_pad.shape[-1]} dimensions, the model was built for"
            f" {idim}; make them with the same feature options as for its training"
        )
    if int(ilens.min()) < 1:
        raise UserError(
            f"utterance {int(ilens.argmin()) + 1} of {len(ilens)} in the batch has no"
            " frames"
        )


class Dropout(nn.Dropout):
    """Dropout that takes a third of the time of torch's on a CPU.

    torch draws a number of its generator for each element there, on one thread, which
    made up 8 to 13 % of a Transformer's training step; here 64 bits serve 4 elements.
    The rate is rounded to 1 / 65536.
    """

    def forward(self, xs: Tensor) -> Tensor:
        """Zeros at random, in training; the rest is scaled up."""
        if not self.training or xs.is_cuda or not 0.0 < self.p < 1.0:
            return F.dropout(xs, self.p, self.training)
        count = xs.numel()
        drawn = torch.empty(count // 4 + 1, dtype=torch.int64, device=xs.device)
        drawn = drawn.random_(-(2**63), None).view(torch.int16)[:count]
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        kept = drawn.view(xs.shape) >= dropped - 2**15
        scale = 2**16 / (2**16 - dropped)
        # the product of values, mask and scale, of which torch knows the gradient
        return torch.ops.aten.native_dropout_backward(xs, kept, scale)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Without gradients and dropout; the module's mode is as before afterwards."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
