"""First layers of encoders: features to frames of size D, with positions.

Each maps ``(xs (B, T, idim), lengths (B,) on the CPU)`` to ``(xs (B, T', D), positions
for relative attention or None, lengths)``. The lengths are those of each utterance
alone, so that what it is padded with leaves no trace; ESPnet1 rounded up the lengths of
all utterances but the longest of a batch, whose last frames then saw padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import (
    convolve,
    make_pad_mask,
    one_by_one,
)
from espnet.nets.pytorch_backend.transformer.positions import Positions
from espnet.utils.errors import UserError

Output = tuple[Tensor, Tensor | None, Tensor]


class ConvolutionInput(nn.Module):
    """Convolutions that reduce the frame rate, and a linear layer.

    Args:
        idim: features per frame.
        size: D.
        kernels: kernel and stride of each convolution.
        positions: adds positions.
    """

    def __init__(
        self,
        idim: int,
        size: int,
        kernels: Sequence[tuple[int, int]],
        positions: Positions,
    ) -> None:
        super().__init__()
        self.kernels = tuple(kernels)
        width = int(self.output_lengths(torch.tensor([idim])))
        _check_width(width, idim)
        parts: list[nn.Module] = []
        for i, (kernel, stride) in enumerate(kernels):
            convolution = nn.Conv2d(size if i else 1, size, kernel, stride)
            parts += [convolution, nn.ReLU(inplace=True)]
        self.conv = nn.Sequential(*parts)
        self.out = nn.Sequential(Linear(size * width, size), positions)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that come of ``lengths`` (B,)."""
        for kernel, stride in self.kernels:
            lengths = (lengths - kernel) // stride + 1
        return lengths.clamp(min=0)

    def forward(self, xs: Tensor, lengths: Tensor) -> Output:
        """See the module."""
        _, positions = self.out
        xs = one_by_one(self._reduce, xs, lengths)
        return *positions(xs), self.output_lengths(lengths)

    def _reduce(self, xs: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, idim) -> (B, T', D)."""
        linear, _ = self.out
        xs = xs[:, None]
        for part in self.conv:
            xs = convolve(part, xs) if isinstance(part, nn.Conv2d) else part(xs)
        return linear(xs.transpose(1, 2).flatten(2))


class VGGInput(nn.Module):
    """Two blocks of two convolutions and a pooling, 1/6 of the frames.

    Positions are added only where relative attention needs them, as in ESPnet1.

    Args:
        idim: features per frame.
        size: D.
        positions: relative positions, or None.
    """

    def __init__(self, idim: int, size: int, positions: Positions | None) -> None:
        super().__init__()
        width = idim // 2 // 2
        _check_width(width, idim)
        self.vgg2l = nn.Sequential(
            *(nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True)),
            nn.MaxPool2d((3, 2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(inplace=True)),
            nn.MaxPool2d((2, 2)),
        )
        linear = Linear(128 * width, size)
        self.output = linear if positions is None else nn.Sequential(linear, positions)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that come of ``lengths`` (B,)."""
        return lengths // 3 // 2

    def forward(self, xs: Tensor, lengths: Tensor) -> Output:
        """See the module; the convolutions see zeros behind each end."""
        xs = one_by_one(self._reduce, xs, lengths)
        lengths = self.output_lengths(lengths)
        if not isinstance(self.output, nn.Sequential):
            return xs, None, lengths
        _, positions = self.output
        return *positions(xs), lengths

    def _reduce(self, xs: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, idim) -> (B, T', D)."""
        padded = int(lengths.min()) < xs.shape[1]
        xs = xs[:, None]
        parts = list(self.vgg2l)
        for block, step in ((parts[:5], 3), (parts[5:], 2)):
            for part in block:
                if not isinstance(part, nn.Conv2d):
                    xs = part(xs)
                    continue
                if padded:
                    padding = make_pad_mask(lengths, xs.shape[2]).to(xs.device)
                    xs = xs.masked_fill(padding[:, None, :, None], 0.0)
                xs = convolve(part, xs)
            lengths = lengths // step
        output = self.output
        linear = output[0] if isinstance(output, nn.Sequential) else output
        return linear(xs.transpose(1, 2).flatten(2))


class LinearInput(nn.Sequential):
    """A linear layer, normalised; every frame is kept.

    Args:
        idim: features per frame.
        size: D.
        dropout_rate: of the frames.
        positions: adds positions.
        rectified: with a ReLU, as in the Transformer but not in the Conformer.
    """

    def __init__(
        self,
        idim: int,
        size: int,
        dropout_rate: float,
        positions: Positions,
        rectified: bool,
    ) -> None:
        relu = [nn.ReLU()] if rectified else []
        super().__init__(
            Linear(idim, size),
            nn.LayerNorm(size),
            nn.Dropout(dropout_rate),
            *relu,
            positions,
        )

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that come of ``lengths`` (B,)."""
        return lengths

    def forward(self, xs: Tensor, lengths: Tensor) -> Output:  # type: ignore[override]
        """See the module."""
        *front, positions = self
        for part in front:
            xs = part(xs)
        return *positions(xs), lengths


class EmbeddingInput(nn.Sequential):
    """A vector for each of ``idim`` tokens; the last one is not learnt.

    Its input are token ids (B, T), or (B, T, 1) as numbers.

    Args:
        idim: number of tokens.
        size: D.
        positions: adds positions.
    """

    def __init__(self, idim: int, size: int, positions: Positions) -> None:
        super().__init__(nn.Embedding(idim, size, padding_idx=idim - 1), positions)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that come of ``lengths`` (B,)."""
        return lengths

    def forward(self, xs: Tensor, lengths: Tensor) -> Output:  # type: ignore[override]
        """See the module."""
        embedding, positions = self
        ids = xs[..., 0] if xs.dim() == 3 else xs
        return *positions(embedding(ids.long())), lengths


InputLayer = ConvolutionInput | VGGInput | LinearInput | EmbeddingInput


@dataclass(frozen=True)
class InputSizes:
    """Everything that shapes an input layer; each type takes what it needs.

    Attributes:
        idim: features per frame, or number of tokens.
        size: D of the output.
        positions: adds positions.
        dropout_rate: of the frames.
        rectified: see :class:`LinearInput`.
    """

    idim: int
    size: int
    positions: Positions
    dropout_rate: float = 0.0
    rectified: bool = True


def _convolutions(*kernels: tuple[int, int]) -> Callable[[InputSizes], InputLayer]:
    return lambda s: ConvolutionInput(s.idim, s.size, kernels, s.positions)


INPUT_LAYERS: dict[str, Callable[[InputSizes], InputLayer]] = {
    "conv2d": _convolutions((3, 2), (3, 2)),
    "conv2d6": _convolutions((3, 2), (5, 3)),
    "conv2d8": _convolutions((3, 2), (3, 2), (3, 2)),
    "vgg2l": lambda s: VGGInput(
        s.idim, s.size, s.positions if s.positions.relative else None
    ),
    "linear": lambda s: LinearInput(
        s.idim, s.size, s.dropout_rate, s.positions, s.rectified
    ),
    "embed": lambda s: EmbeddingInput(s.idim, s.size, s.positions),
}


def _check_width(width: int, idim: int) -> None:
    if width < 1:
        raise UserError(
            f"transformer-input-layer: the features have {idim} dimensions, too few for"
            " its convolutions; use linear, or features of more dimensions"
        )
