"""The bare matrix products and convolutions that a model needs: the floor of its time.

They run on tensors that are there already, each product with a weight of its own, and
nothing else is done: no activation, normalisation, softmax, loss or update.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from tools.bench.timing import Work


class Piece(Protocol):
    """Work of a forward pass and of the backward pass that belongs to it."""

    def works(self) -> tuple[Work, Work]:
        """Both, with their tensors allocated."""


@dataclass(frozen=True)
class Product:
    """(rows, inner) x (inner, columns).

    Attributes:
        batch: so many at once.
        steps: so many one after the other with one weight, as a recurrent layer needs
            them; the weight's gradient is one product over all steps.
    """

    rows: int
    inner: int
    columns: int
    batch: int = 1
    steps: int = 1

    def works(self) -> tuple[Work, Work]:
        """See :class:`Piece`."""
        inputs = torch.randn(self.batch, self.steps * self.rows, self.inner)
        weight = torch.randn(self.batch, self.columns, self.inner)
        outputs = torch.randn(self.batch, self.steps * self.rows, self.columns)
        weight_grad = torch.empty_like(weight)
        xs, ys = inputs.split(self.rows, 1), outputs.split(self.rows, 1)

        def forward() -> None:
            for x, y in zip(xs, ys, strict=True):
                torch.matmul(x, weight.transpose(1, 2), out=y)

        def backward() -> None:
            for x, y in zip(xs, ys, strict=True):
                torch.matmul(y, weight, out=x)
            torch.matmul(outputs.transpose(1, 2), inputs, out=weight_grad)

        return forward, backward


@dataclass(frozen=True)
class Convolution:
    """A convolution of a batch (B, C, T, D).

    Attributes:
        shape: of its input.
        channels: of its output.
        kernel: in time and frequency.
        stride: the same in both.
        padded: so that a stride of 1 keeps time and frequency.
        groups: of channels.
        first: its input needs no gradient.
    """

    shape: tuple[int, int, int, int]
    channels: int
    kernel: tuple[int, int]
    stride: int = 1
    padded: bool = False
    groups: int = 1
    first: bool = False

    def works(self) -> tuple[Work, Work]:
        """See :class:`Piece`; in the layout that oneDNN is fastest with."""
        xs = torch.randn(self.shape).to(memory_format=torch.channels_last)
        inner = self.shape[1] // self.groups
        weight = torch.randn(self.channels, inner, *self.kernel)
        weight = weight.to(memory_format=torch.channels_last)
        padding = [size // 2 if self.padded else 0 for size in self.kernel]
        stride = [self.stride, self.stride]
        ys = F.conv2d(xs, weight, None, stride, padding, 1, self.groups)

        def forward() -> object:
            return F.conv2d(xs, weight, None, stride, padding, 1, self.groups)

        def backward() -> object:
            return torch.ops.aten.convolution_backward(
                *(ys, xs, weight, None, stride, padding, [1, 1], False, [0, 0]),
                *(self.groups, [not self.first, True, False]),
            )

        return forward, backward


def both(pieces: Iterable[Piece]) -> tuple[Work, Work]:
    """All forward passes; all forward and all backward passes."""
    works = [piece.works() for piece in pieces]

    @torch.no_grad()
    def forward() -> None:
        for work, _ in works:
            work()

    @torch.no_grad()
    def forward_backward() -> None:
        forward()
        for _, work in reversed(works):
            work()

    return forward, forward_backward
