"""Layers made ready for decoding, with products by oneDNN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear, Pointwise, has_onednn, product
from espnet.nets.pytorch_backend.nets_utils import tanh

ROWS = 16  # about the number of hypotheses of a search
Kind = TypeVar("Kind", bound=nn.Module)


def ready(module: Kind) -> Kind:
    """A copy of a module that shares its parameters, but has packed layers.

    The packed ones keep the weights of now, and know no gradients. On a CPU a product
    of 10 rows, 256 inputs and 2048 outputs then takes a half to a quarter of the time
    of ``F.linear``, with one or two threads; packing costs as much as two of these.
    The products of encoders take less than half of the time on processors that are not
    Intel's, whose library ``F.linear`` calls.
    """
    twin = copy(module)
    twin._modules = {
        name: child if child is None else packed(child)
        for name, child in module._modules.items()
    }
    if isinstance(twin, Joining):
        twin.join([module._modules[name] for name in twin.together])
    return twin


class Joining:
    """A module some of whose linear layers read the same: a ready one joins them.

    Attributes:
        together: the names of these layers, which are equally wide and have a bias.
        joined: a product for all of them; None where they are not joined.
    """

    together: ClassVar[Sequence[str]] = ()
    joined: PackedProduct | None = None

    def join(self, layers: Sequence[nn.Module | None]) -> None:
        """Make one product of the layers, if all are linear ones that can be packed."""
        kinds = (Linear, nn.Linear)
        found = [cast(nn.Linear, layer) for layer in layers if type(layer) in kinds]
        if len(found) < len(layers) or not all(map(packable, found)):
            return
        weight = torch.cat([layer.weight for layer in found])
        self.joined = PackedProduct(weight, torch.cat([layer.bias for layer in found]))

    def apart(self, xs: Tensor) -> tuple[Tensor, ...]:
        """What each of the layers makes of xs (..., D)."""
        if self.joined is not None:
            return self.joined(xs).chunk(len(self.together), -1)
        return tuple(getattr(self, name)(xs) for name in self.together)


def packable(module: nn.Module) -> bool:
    """Whether a layer's weights can be put into oneDNN's order."""
    weight = next(module.parameters())
    known = weight.device.type == "cpu" and weight.dtype == torch.float32
    return known and has_onednn()


def packed(module: nn.Module) -> nn.Module:
    """A layer for inputs (N, D) in a search; where packing is of no use, a ready copy.

    Linear layers, convolutions and LSTM cells are packed, not those of derived classes.
    """
    kind = PACKED.get(type(module))
    if kind is None:
        return ready(module)
    return kind(module) if packable(module) else module


def channels_last(layer: nn.Conv2d) -> nn.Conv2d:
    """A twin whose weights stand as :func:`nets_utils.convolve` wants them."""
    twin = copy(layer)
    weight = layer.weight.detach().to(memory_format=torch.channels_last)
    twin._parameters = {**layer._parameters, "weight": nn.Parameter(weight, False)}
    return twin


class PackedProduct:
    """A product with weights that stand in the order that oneDNN likes best.

    Args:
        weight: (E, D).
        bias: (E,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.bias = None if bias is None else bias.detach()
        self.blocks = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)

    def __call__(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return product(xs.float(), self.blocks, self.bias)


class PackedLinear(nn.Module):
    """A linear layer, packed."""

    def __init__(self, layer: nn.Linear | Pointwise) -> None:
        super().__init__()
        self.product = PackedProduct(layer.weight.flatten(1), layer.bias)

    def forward(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return self.product(xs)


class PackedLSTMCell(nn.Module):
    """An LSTM cell whose two products are one, packed."""

    def __init__(self, cell: nn.LSTMCell) -> None:
        super().__init__()
        weight = torch.cat([cell.weight_ih, cell.weight_hh], 1)
        bias = cell.bias_ih + cell.bias_hh if cell.bias else None
        self.product = PackedProduct(weight, bias)

    def forward(self, xs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Inputs (N, D), output and memory (N, E) each -> the next output, memory."""
        z, c = state
        i, f, g, o = self.product(torch.cat([xs, z], 1)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * tanh(g)
        return o.sigmoid() * tanh(c), c


PACKED: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Conv2d: channels_last,
    Linear: PackedLinear,
    nn.Linear: PackedLinear,
    nn.LSTMCell: PackedLSTMCell,
    Pointwise: PackedLinear,
}
