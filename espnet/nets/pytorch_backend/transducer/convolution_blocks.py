"""Convolution blocks of custom encoders and decoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.conformer.convolution import normalise_valid
from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import convolve_frames
from espnet.nets.pytorch_backend.transducer.blocks import windows
from espnet.nets.pytorch_backend.transformer.frames import Frames


class Conv1dBlock(nn.Module):
    """A convolution over time without padding, so that frames get fewer.

    Then batch norm, dropout and ReLU, each if asked for.

    Args:
        idim, odim: features of a frame before and after.
        kernel, stride, dilation, groups, bias: of the convolution.
        dropout_rate: of its output.
        normalised: with batch norm.
        rectified: with ReLU.
        relative: relative attention follows, whose table of positions has to be
            reduced like the frames.
    """

    def __init__(
        self,
        idim: int,
        odim: int,
        kernel: int,
        stride: int,
        dilation: int,
        groups: int,
        bias: bool,
        dropout_rate: float,
        normalised: bool,
        rectified: bool,
        relative: bool,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            *(idim, odim, kernel, stride),
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        if normalised:
            self.bn = nn.BatchNorm1d(odim)
        self.normalised = normalised
        self.rectified = rectified
        self.dropout = nn.Dropout(dropout_rate)
        self.out_pos = Linear(idim, odim)  # in all files of ESPnet1, used or not
        self.out_pos.requires_grad_(relative)
        self.lost = dilation * (kernel - 1)
        self.stride = stride

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that come of ``lengths`` (B,); 0 if there are too few."""
        return ((lengths - self.lost - 1) // self.stride + 1).clamp(min=0)

    def forward(self, xs: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
        """(B, T, D) -> (B, T', D')."""
        positions = self._positions(frames, xs.shape[1])
        xs = convolve_frames(self.conv, xs)
        frames = Frames.of(xs, self.output_lengths(frames.lengths), positions)
        if self.normalised:
            xs = normalise_valid(self.bn, xs, frames)
        xs = self.dropout(xs)
        return (F.relu(xs) if self.rectified else xs), frames

    def _positions(self, frames: Frames, count: int) -> Tensor | None:
        """The table of T' frames (2 T' - 1, D'), or (B, 2 T' - 1, D').

        ESPnet1 cuts and thins out the rows of distances to the past like frames, from
        the farthest on; those to the future begin with the distance 0. So a distance d
        to the past now stands for ``lost`` + r + stride d, where r < stride depends on
        the number of frames. It took the longest utterance's number for all of a batch.
        """
        if frames.positions is None:
            return None
        remainders = (frames.lengths - self.lost - 1) % self.stride
        if bool((remainders == remainders[0]).all()):
            remainders = remainders[:1]
        shorter = int(self.output_lengths(torch.tensor(count)))
        distances = torch.arange(shorter - 1, -shorter, -1)
        sources = distances * self.stride
        past = sources + self.lost + remainders[:, None]
        sources = torch.where(distances > 0, past, sources)
        # a farther distance than the table has is one of padding
        rows = (count - 1 - sources).clamp(min=0).to(frames.positions.device)
        if len(rows) == 1:
            return self.out_pos(frames.positions[..., rows[0], :])
        if frames.positions.dim() == 2:
            return self.out_pos(frames.positions[rows])
        utterances = torch.arange(len(rows), device=rows.device)[:, None]
        return self.out_pos(frames.positions[utterances, rows])


class Conv1dStack(nn.ModuleList):
    """Convolution blocks one after the other, which count as one block."""

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that come of ``lengths`` (B,); 0 if there are too few."""
        for part in cast(Iterable[Conv1dBlock], self):
            lengths = part.output_lengths(lengths)
        return lengths

    def forward(self, xs: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
        """(B, T, D) -> (B, T', D')."""
        for part in self:
            xs, frames = part(xs, frames)
        return xs, frames


def conv1d(block: Mapping[str, Any], relative: bool) -> Conv1dBlock | Conv1dStack:
    """What a checked block of type conv1d describes."""
    parts = []
    for number, (kernel, stride, dilation) in enumerate(windows(block)):
        parts.append(
            Conv1dBlock(
                block["odim"] if number else block["idim"],
                block["odim"],
                *(kernel, stride, dilation, block["groups"], block["bias"]),
                block["dropout-rate"],
                normalised=block["use-batch-norm"],
                rectified=block["use-relu"],
                relative=relative,
            )
        )
    return parts[0] if len(parts) == 1 else Conv1dStack(parts)


class CausalConv1dBlock(nn.Module):
    """A convolution over labels that sees no later one.

    Args:
        idim, odim: features before and after.
        kernel, dilation, groups, bias: of the convolution.
        dropout_rate: of its output.
        normalised: with batch norm.
        rectified: with ReLU.
    """

    def __init__(
        self,
        idim: int,
        odim: int,
        kernel: int,
        dilation: int,
        groups: int,
        bias: bool,
        dropout_rate: float,
        normalised: bool,
        rectified: bool,
    ) -> None:
        super().__init__()
        self.causal_conv1d = nn.Conv1d(
            idim, odim, kernel, dilation=dilation, groups=groups, bias=bias
        )
        if normalised:
            self.bn = nn.BatchNorm1d(odim)
        self.normalised = normalised
        self.rectified = rectified
        self.dropout = nn.Dropout(dropout_rate)
        self.past = dilation * (kernel - 1)

    def forward(self, xs: Tensor, labels: Frames) -> Tensor:
        """(B, U, D) -> (B, U, D')."""
        xs = convolve_frames(self.causal_conv1d, F.pad(xs, (0, 0, self.past, 0)))
        if self.normalised:
            xs = normalise_valid(self.bn, xs, labels)
        xs = self.dropout(xs)
        return F.relu(xs) if self.rectified else xs


def causal_conv1d(block: Mapping[str, Any]) -> CausalConv1dBlock:
    """What a checked block of type causal-conv1d describes."""
    ((kernel, _, dilation),) = windows(block)
    return CausalConv1dBlock(
        block["idim"],
        block["odim"],
        kernel,
        dilation,
        groups=block["groups"],
        bias=block["bias"],
        dropout_rate=block["dropout-rate"],
        normalised=block["use-batch-norm"],
        rectified=block["use-relu"],
    )
