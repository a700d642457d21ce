"""Layers made ready for the many small products of a search."""

from __future__ import annotations

from copy import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

ROWS = 16  # about the number of hypotheses of a search
Kind = TypeVar("Kind", bound=nn.Module)


def ready(module: Kind) -> Kind:
    """A copy of a module that shares its parameters, but has packed linear layers.

    The packed ones keep the weights of now, and know no gradients. On a CPU a product
    of 10 rows, 256 inputs and 2048 outputs then takes a half to a quarter of the time
    of ``F.linear``, with one or two threads; packing costs as much as two of these.
    """
    twin = copy(module)
    twin._modules = {
        name: child
        if child is None
        else (packed(child) if type(child) is nn.Linear else ready(child))
        for name, child in module._modules.items()
    }
    return twin


def packed(layer: nn.Linear) -> nn.Module:
    """The layer for inputs (N, D) in a search; itself where packing is of no use."""
    weight = layer.weight
    known = weight.device.type == "cpu" and weight.dtype == torch.float32
    usable = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
    return PackedLinear(layer) if known and usable else layer


class PackedLinear(nn.Module):
    """A linear layer whose weights stand in the order that oneDNN likes best."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.bias = layer.bias
        weight = layer.weight.detach()
        self.blocks = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)

    def forward(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return torch.ops.mkldnn._linear_pointwise(
            xs.float(), self.blocks, self.bias, "none", [], ""
        )
