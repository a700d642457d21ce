"""How weights start."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def lecun_normal(module: nn.Module) -> None:
    """Weights N(0, 1 / fan-in), biases 0 (LeCun et al., Efficient BackProp, 1998)."""
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.zero_()
        else:  # (out, in) or (out, in, kernel...)
            parameter.normal_(0.0, 1.0 / math.sqrt(parameter[0].numel()))


@torch.no_grad()
def open_forget_gates(cells: nn.ModuleList) -> None:
    """Set the bias of the forget gate to 1 (Jozefowicz et al., 2015).

    The same quarter is set in a GRU cell, where it is part of the reset and update
    gates, because models of ESPnet1 start so.
    """
    for cell in cells:
        assert isinstance(cell, (nn.LSTMCell, nn.GRUCell))
        size = len(cell.bias_ih)
        cell.bias_ih[size // 4 : size // 2] = 1.0
