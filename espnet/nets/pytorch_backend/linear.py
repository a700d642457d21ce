"""Linear layers whose large products oneDNN computes on the CPU.

``F.linear`` calls Intel's MKL, which on processors of other makers takes twice the time
of oneDNN. That compiles a product for each size it meets, in 0.2 ms and more: what pays
only if the product is large.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 1 << 24  # multiplications in a product that oneDNN computes


class Linear(nn.Linear):
    """A linear layer."""

    def forward(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return linear(xs, self.weight, self.bias)


class Pointwise(nn.Conv1d):
    """A convolution over single frames, which is a linear layer.

    Args:
        size: D.
        units: E.
    """

    def __init__(self, size: int, units: int) -> None:
        super().__init__(size, units, 1)

    def forward(self, xs: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, E)."""
        return linear(xs, self.weight[:, :, 0], self.bias)


def linear(xs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """xs (..., D), weight (E, D), bias (E,) -> (..., E)."""
    if xs.numel() * len(weight) >= LEAST and pays(xs) and pays(weight):
        return _Product.apply(xs, weight, bias)
    return F.linear(xs, weight, bias)


def matmul(lefts: Tensor, rights: Tensor) -> Tensor:
    """lefts (..., D) @ rights (D, E), without gradients."""
    if lefts.numel() * rights.shape[1] >= LEAST and pays(lefts) and pays(rights):
        return product(lefts, rights.t(), None)
    return lefts @ rights


def pays(values: Tensor) -> bool:
    """Whether oneDNN is the faster one for products of such values."""
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return False
    return not (torch.is_autocast_enabled("cpu") or is_of_intel()) and has_onednn()


@cache
def is_of_intel() -> bool:
    """Whether MKL was made for this processor."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return False


@cache
def has_onednn() -> bool:
    """Whether this torch has the product."""
    if not torch.backends.mkldnn.is_available():
        return False
    ones = torch.ones(2, 2)
    try:
        return bool((product(ones, ones, None) == 2.0).all())
    except (AttributeError, RuntimeError, TypeError):  # another version of torch
        return False


def product(xs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """xs (..., D) and weight (E, D), perhaps in an order of oneDNN's -> (..., E).

    It knows no gradients.
    """
    weight = weight if weight.is_mkldnn else dense(weight)
    return torch.ops.mkldnn._linear_pointwise(dense(xs), weight, bias, "none", [], "")


def dense(xs: Tensor) -> Tensor:
    """The same (..., D), by rows or by columns without gaps.

    With gaps, as between frames of which every second one was taken, oneDNN may have no
    kernel but its reference, which takes 500 times as long.
    """
    return xs if xs.is_contiguous() or xs.mT.is_contiguous() else xs.contiguous()


class _Product(torch.autograd.Function):
    """A linear layer that oneDNN computes, forward and backward."""

    @staticmethod
    def forward(ctx: Any, xs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(xs, weight)
        return product(xs, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        xs, weight = ctx.saved_tensors
        rows, inputs = grad.flatten(0, -2), xs.flatten(0, -2)
        wanted = ctx.needs_input_grad
        return (
            product(grad, weight.t(), None) if wanted[0] else None,
            product(rows.t(), inputs.t(), None) if wanted[1] else None,
            rows.sum(0) if wanted[2] else None,
        )
