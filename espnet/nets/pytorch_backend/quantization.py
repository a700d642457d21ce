"""Layers with weights of 8 or 16 bits, for decoding on a CPU.

An int8 layer gives each output its own step between two levels of the weights, and each
row of its input one too, found when it comes ("dynamic"). Since no row sees the others,
utterances decoded together give what they give alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear

LEVELS = 127  # on either side of 0
SMALLEST = 1e-12  # step of a row of zeros


class Int8Product:
    """A product with int8 weights; sums are exact in 32 bits.

    Args:
        weight: (E, D).
        bias: (E,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        weight = weight.detach()
        self.scale = weight.abs().amax(1).clamp(min=SMALLEST) / LEVELS
        self.weight = (weight / self.scale[:, None]).round().to(torch.int8)
        self.bias = self.scale.new_zeros(len(weight)) if bias is None else bias.detach()
        self.zeros = torch.zeros(len(weight), dtype=torch.int32)

    @cached_property
    def blocks(self) -> Tensor | None:
        """The weights as oneDNN wants them, once they are used; None without it."""
        if torch.backends.mkldnn.is_available() and hasattr(torch.ops, "onednn"):
            return cast(Tensor, torch.ops.onednn.qlinear_prepack(self.weight, None))
        return None

    def floats(self) -> Tensor:
        """The weights (E, D) that the levels stand for."""
        return self.weight * self.scale[:, None]

    def __call__(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        rows = xs.flatten(0, -2)
        largest = torch.linalg.vector_norm(rows, torch.inf, -1, keepdim=True)
        step = largest.clamp_(min=SMALLEST).div_(LEVELS)
        middle = rows.new_tensor(LEVELS + 1.5)  # oneDNN wants bytes without sign
        levels = torch.addcmul(middle, rows, 1.0 / step).to(torch.uint8)
        if self.blocks is None:
            signed = (levels.to(torch.int16) - LEVELS - 1).to(torch.int8)
            sums = torch._int_mm(signed, self.weight.t()) * self.scale
        else:
            sums = torch.ops.onednn.qlinear_pointwise(
                *(levels, 1.0, LEVELS + 1, self.blocks, self.scale, self.zeros),
                *(None, 1.0, 0, torch.float32, "none", [], ""),
            )
        return torch.addcmul(self.bias, sums, step).unflatten(0, xs.shape[:-1])


class HalfProduct:
    """A product with float16 weights, computed in float32: it saves memory, not time.

    Args:
        weight: (E, D).
        bias: (E,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight.detach().half()
        self.bias = None if bias is None else bias.detach()

    def floats(self) -> Tensor:
        """The weights (E, D)."""
        return self.weight.float()

    def __call__(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return F.linear(xs, self.floats(), self.bias)


PRODUCTS: dict[str, type[Int8Product] | type[HalfProduct]] = {
    "float16": HalfProduct,
    "qint8": Int8Product,
}
Product = Callable[[Tensor, Tensor | None], Int8Product | HalfProduct]


class QuantizedLinear(nn.Module):
    """A linear layer of few bits.

    Args:
        layer: its model.
        kind: of the product.
    """

    def __init__(self, layer: nn.Linear, kind: Product) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.product = kind(layer.weight, layer.bias)
        self.bias = layer.bias

    @property
    def weight(self) -> Tensor:
        """As floats (E, D), for what does more with them than this layer."""
        return self.product.floats()

    def forward(self, xs: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return self.product(xs)


class QuantizedLSTMCell(nn.Module):
    """An LSTM cell whose two products are one of few bits.

    Args:
        cell: its model.
        kind: of the product.

    Attributes:
        hidden_size: E.
    """

    def __init__(self, cell: nn.LSTMCell, kind: Product) -> None:
        super().__init__()
        self.inputs = cell.input_size
        self.hidden_size = cell.hidden_size
        self.bias_ih, self.bias_hh = cell.bias_ih, cell.bias_hh
        bias = cell.bias_ih + cell.bias_hh if cell.bias else None
        self.product = kind(torch.cat([cell.weight_ih, cell.weight_hh], 1), bias)

    @property
    def weight_ih(self) -> Tensor:
        """As floats (4 E, D)."""
        return self.product.floats()[:, : self.inputs]

    @property
    def weight_hh(self) -> Tensor:
        """As floats (4 E, E)."""
        return self.product.floats()[:, self.inputs :]

    def forward(self, xs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Inputs (N, D), output and memory (N, E) each -> the next output, memory."""
        z, c = state
        i, f, g, o = self.product(torch.cat([xs, z], 1)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class QuantizedGRUCell(nn.Module):
    """A GRU cell whose two products are of few bits.

    Args:
        cell: its model.
        kind: of the products.

    Attributes:
        hidden_size: E.
    """

    def __init__(self, cell: nn.GRUCell, kind: Product) -> None:
        super().__init__()
        self.hidden_size = cell.hidden_size
        self.bias_ih, self.bias_hh = cell.bias_ih, cell.bias_hh
        self.of_inputs = kind(cell.weight_ih, cell.bias_ih if cell.bias else None)
        self.of_state = kind(cell.weight_hh, cell.bias_hh if cell.bias else None)

    @property
    def weight_ih(self) -> Tensor:
        """As floats (3 E, D)."""
        return self.of_inputs.floats()

    @property
    def weight_hh(self) -> Tensor:
        """As floats (3 E, E)."""
        return self.of_state.floats()

    def forward(self, xs: Tensor, z: Tensor) -> Tensor:
        """Inputs (N, D), output (N, E) -> the next output."""
        inputs = self.of_inputs(xs).chunk(3, 1)
        hidden = self.of_state(z).chunk(3, 1)
        reset, update = ((inputs[k] + hidden[k]).sigmoid() for k in (0, 1))
        new = (inputs[2] + reset * hidden[2]).tanh()
        return torch.lerp(new, z, update)


class QuantizedLayers(nn.Module):
    """LSTM or GRU layers that keep their weights in few bits.

    All frames go through a layer in one call of torch, which wants floats: they are
    made for the call, so that this saves memory, not time.

    Args:
        layers: their model, with biases.
        kind: of the product that keeps the weights.

    Attributes: those of ``nn.LSTM`` and ``nn.GRU`` of these names.
    """

    def __init__(self, layers: nn.LSTM | nn.GRU, kind: Product) -> None:
        super().__init__()
        self.mode, self.batch_first = layers.mode, layers.batch_first
        self.hidden_size, self.num_layers = layers.hidden_size, layers.num_layers
        self.bidirectional, self.dropout = layers.bidirectional, layers.dropout
        self.products = {}
        for name, value in layers.named_parameters():
            if name.startswith("weight_"):
                self.products[name] = kind(value, None)
            else:
                setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """Weights as floats, by the names that they have in torch's layers."""
        products = self.__dict__.get("products", {})
        return (
            products[name].floats() if name in products else super().__getattr__(name)
        )

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Weights and biases of each layer and direction."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ends = ("", "_reverse")[: 1 + self.bidirectional]
        return [
            [getattr(self, f"{name}_l{layer}{end}") for name in names]
            for layer in range(self.num_layers)
            for end in ends
        ]

    def forward(self, xs: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As ``nn.LSTM`` and ``nn.GRU``, of padded tensors."""
        is_lstm = self.mode == "LSTM"
        if state is None:
            rows = xs.shape[0] if self.batch_first else xs.shape[1]
            directions = self.num_layers * (1 + self.bidirectional)
            zeros = xs.new_zeros(directions, rows, self.hidden_size)
            state = (zeros, zeros) if is_lstm else zeros
        weights = [weight for group in self.all_weights for weight in group]
        how = (True, self.num_layers, 0.0, False, self.bidirectional, self.batch_first)
        run = torch.lstm if is_lstm else torch.gru
        ys, *after = run(xs, state, weights, *how)
        return ys, tuple(after) if is_lstm else after[0]


QUANTIZED: dict[str, tuple[tuple[type[nn.Module], ...], Callable[..., nn.Module]]] = {
    "GRU": ((nn.GRU,), QuantizedLayers),
    "GRUCell": ((nn.GRUCell,), QuantizedGRUCell),
    "LSTM": ((nn.LSTM,), QuantizedLayers),
    "LSTMCell": ((nn.LSTMCell,), QuantizedLSTMCell),
    "Linear": ((Linear, nn.Linear), QuantizedLinear),
}


def quantize(module: nn.Module, names: Collection[str], dtype: str) -> int:
    """Replace the layers of a module in evaluation on the CPU, in float32.

    Args:
        module: is changed.
        names: of ``QUANTIZED``, what to replace.
        dtype: of ``PRODUCTS``.

    Returns:
        How many layers were replaced.
    """
    rows = [QUANTIZED[name] for name in names]
    kinds = {kind: quantized for kinds, quantized in rows for kind in kinds}
    count = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in kinds:
                setattr(parent, name, kinds[type(child)](child, PRODUCTS[dtype]))
                count += 1
    return count
