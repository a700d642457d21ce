"""The feed-forward layer of Transformer blocks, and its activations."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import Dropout


class Activation(Protocol):
    """A function of each element."""

    def __call__(self, input: Tensor, *, inplace: bool = ...) -> Tensor:
        """(...) -> (...), in the same memory where that is allowed."""


ACTIVATIONS: dict[str, Activation] = {
    "relu": F.relu,
    "hardtanh": F.hardtanh,
    "selu": F.selu,
    "swish": F.silu,
}


class FeedForward(nn.Module):
    """Two linear layers, the same for every frame.

    Args:
        size: D of input and output.
        units: between the layers.
        dropout_rate: between the layers.
        activation: between the layers.
    """

    def __init__(
        self, size: int, units: int, dropout_rate: float, activation: Activation
    ) -> None:
        super().__init__()
        self.w_1 = Linear(size, units)
        self.w_2 = Linear(units, size)
        self.dropout = Dropout(dropout_rate)
        self.activation = activation

    def forward(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        hs = self.activation(self.w_1(xs), inplace=not torch.is_grad_enabled())
        return self.w_2(self.dropout(hs))
