"""RNN encoders, with or without convolutions before and projections between layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import (
    convolve,
    make_pad_mask,
    one_by_one,
    tanh,
)
from espnet.nets.pytorch_backend.rnn.options import ENCODERS
from espnet.nets.pytorch_backend.rnn.recurrent import RNN_TYPES, run_rnn


class Encoder(nn.Module):
    """Features to encoder frames.

    Args:
        etype: a key of ``ENCODERS``.
        idim: dimension D of the features.
        elayers, eunits, eprojs: layers, units of each, size E of the output.
        subsample: frame steps after each layer (``elayers`` numbers).
        dropout_rate: of each layer's output but the last's.
    """

    def __init__(
        self,
        etype: str,
        idim: int,
        elayers: int,
        eunits: int,
        eprojs: int,
        subsample: Sequence[int],
        dropout_rate: float = 0.0,
    ) -> None:
        super().__init__()
        kind = ENCODERS[etype]
        front = [VGG2L()] if kind.vgg else []
        size = vgg_output_size(idim) if kind.vgg else idim
        shape = (kind.cell, kind.bidirectional, size, elayers, eunits, eprojs)
        rnn: nn.Module
        if kind.projected:
            rnn = ProjectedRNN(*shape, subsample, dropout_rate)
        else:
            rnn = StackedRNN(*shape, dropout_rate)
        self.enc = nn.ModuleList([*front, rnn])

    def forward(self, xs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """xs (B, T, D), lengths (B,) on the CPU -> (B, T', E), (B,); zeros behind each.

        What an utterance is padded with, and how far, does not change its output.
        """
        for part in self.enc:
            xs, lengths = part(xs, lengths)
        padding = make_pad_mask(lengths, xs.shape[1]).to(xs.device)
        return xs.masked_fill(padding[:, :, None], 0.0), lengths


class ProjectedRNN(nn.Module):
    """RNN layers, each followed by subsampling in time and a projection.

    The names ``birnn0`` or ``rnn0``, and ``bt0``, are those of ESPnet1's state dicts.
    Its dropout here acted in evaluation too, which made decoding random; ours does not.
    """

    def __init__(
        self,
        cell: str,
        bidirectional: bool,
        idim: int,
        elayers: int,
        eunits: int,
        eprojs: int,
        subsample: Sequence[int],
        dropout_rate: float,
    ) -> None:
        super().__init__()
        self.prefix = "birnn" if bidirectional else "rnn"
        self.subsample = tuple(subsample)
        self.dropout = nn.Dropout(dropout_rate)
        for i in range(elayers):
            size = eprojs if i else idim
            rnn = RNN_TYPES[cell](
                size, eunits, batch_first=True, bidirectional=bidirectional
            )
            setattr(self, f"{self.prefix}{i}", rnn)
            setattr(self, f"bt{i}", Linear((1 + bidirectional) * eunits, eprojs))

    def forward(self, xs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """xs (B, T, D), lengths (B,) on the CPU -> (B, T', E), (B,)."""
        for output in self.outputs(xs, lengths):
            xs, lengths = output
        return xs, lengths

    def outputs(self, xs: Tensor, lengths: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The projection of each layer (B, T', E), before its tanh, with lengths."""
        last = len(self.subsample) - 1
        for i, step in enumerate(self.subsample):
            xs = run_rnn(getattr(self, f"{self.prefix}{i}"), xs, lengths)
            if step > 1:
                # (l + 1) // s as in ESPnet1, whose models learnt so; with s > 2 it can
                # leave out a last frame that is incomplete.
                lengths = ((lengths + 1) // step).clamp(min=1)
                xs = xs[:, ::step][:, : int(lengths.max())]
            xs = getattr(self, f"bt{i}")(xs)
            yield xs, lengths
            if i < last:
                xs = tanh(self.dropout(xs))


class StackedRNN(nn.Module):
    """RNN layers without projections between them, and one with tanh at the end."""

    def __init__(
        self,
        cell: str,
        bidirectional: bool,
        idim: int,
        elayers: int,
        eunits: int,
        eprojs: int,
        dropout_rate: float,
    ) -> None:
        super().__init__()
        self.nbrnn = RNN_TYPES[cell](
            idim,
            eunits,
            elayers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout_rate if elayers > 1 else 0.0,
        )
        self.l_last = Linear((1 + bidirectional) * eunits, eprojs)

    def forward(self, xs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """xs (B, T, D), lengths (B,) on the CPU -> (B, T, E), (B,)."""
        return tanh(self.l_last(run_rnn(self.nbrnn, xs, lengths))), lengths


class VGG2L(nn.Module):
    """Two blocks of two convolutions and a pooling that halves time and frequency.

    Frames behind an utterance's end are set to zero after each convolution, as if the
    utterance were alone; ESPnet1 let the biases leak in from there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1_1 = nn.Conv2d(1, 64, 3, padding=1)
        self.conv1_2 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv2_1 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv2_2 = nn.Conv2d(128, 128, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)

    def forward(self, xs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """xs (B, T, D), lengths (B,) on the CPU -> (B, T', 128 D'), (B,).

        T' = ceil(ceil(T / 2) / 2), D' likewise.
        """
        xs = one_by_one(self._reduce, xs, lengths)
        return xs, ((lengths + 1) // 2 + 1) // 2

    def _reduce(self, xs: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) -> (B, T', 128 D'), with zeros behind each end."""
        padded = int(lengths.min()) < xs.shape[1]
        xs = xs[:, None]
        if padded:
            xs = xs * _valid(lengths, xs)
        for convolutions in (
            (self.conv1_1, self.conv1_2),
            (self.conv2_1, self.conv2_2),
        ):
            for convolution in convolutions:
                xs = convolve(convolution, xs)
                xs = (
                    _MaskedReLU.apply(xs, _valid(lengths, xs)) if padded else xs.relu_()
                )
            xs = self.pool(xs)
            lengths = (lengths + 1) // 2
        return xs.transpose(1, 2).flatten(2)


class _MaskedReLU(torch.autograd.Function):
    """ReLU that is 0 where a mask is False, in place.

    Its derivative follows from its value, so that the mask costs nothing in the
    backward pass, where a product would read and write the largest tensors once more.
    """

    @staticmethod
    def forward(ctx: Any, xs: Tensor, valid: Tensor) -> Tensor:
        ys = xs.mul_(valid).relu_()
        ctx.mark_dirty(ys)
        ctx.save_for_backward(ys)
        return ys

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (ys,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grad, ys, 0), None


def _valid(lengths: Tensor, xs: Tensor) -> Tensor:
    """(B, 1, T, 1) for xs (B, C, T, D) with True = a frame before the end."""
    return ~make_pad_mask(lengths, xs.shape[2])[:, None, :, None].to(xs.device)


def vgg_output_size(idim: int) -> int:
    """Features per frame that VGG2L makes of ``idim``."""
    return 128 * ((((idim + 1) // 2) + 1) // 2)
