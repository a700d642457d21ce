"""Attentions of several heads, each with keys and values of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import tanh_
from espnet.nets.pytorch_backend.rnn.attentions.base import (
    SHARPENING,
    Attention,
    AttentionSizes,
    Memory,
    State,
    piecewise,
    uniform_weights,
)


class MultiHeadDotAttention(Attention):
    """Per head, energy tanh(K h) . tanh(Q s) / sqrt(A)."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.scale = 1.0 / math.sqrt(sizes.attention)
        self.mlp_q, self.mlp_k, self.mlp_v, self.mlp_o = head_layers(sizes)

    def start(self, hs: Tensor, padding: Tensor) -> Memory:
        """See :meth:`Attention.start`."""
        keys = per_head(torch.tanh(F.linear(hs, joined(self.mlp_k))), len(self.mlp_k))
        values = per_head(F.linear(hs, joined(self.mlp_v)), len(self.mlp_v))
        return Memory(values, keys, padding, query_weights(self.mlp_q))

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        query = torch.tanh(F.linear(query, *memory.weights))
        energy = per_head(query, len(self.mlp_q)) @ memory.keys.transpose(2, 3)
        energy = energy.transpose(1, 2) * self.scale
        return *attend_heads(memory, energy, self.mlp_o), state


class MultiHeadAddAttention(Attention):
    """Per head, energy g . tanh(K h + Q s) / sqrt(A)."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.scale = 1.0 / math.sqrt(sizes.attention)
        self.mlp_q, self.mlp_k, self.mlp_v, self.mlp_o = head_layers(sizes)
        self.gvec = nn.ModuleList(
            Linear(sizes.attention, 1) for _ in range(sizes.heads)
        )

    def start(self, hs: Tensor, padding: Tensor) -> Memory:
        """See :meth:`Attention.start`."""
        keys = per_head(F.linear(hs, joined(self.mlp_k)), len(self.mlp_k))
        values = per_head(F.linear(hs, joined(self.mlp_v)), len(self.mlp_v))
        weights = (*query_weights(self.mlp_q), *energy_weights(self.gvec))
        return Memory(values, keys, padding, weights)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        energy = head_energies(memory, query) * self.scale
        return *attend_heads(memory, energy, self.mlp_o), state


class MultiHeadLocationAttention(Attention):
    """Per head, energy g . tanh(K h + Q s + U conv(w)), w its previous weights.

    Args:
        sizes: see :class:`AttentionSizes`.
        half_widths: of each head's convolution.
        scale: of the energies.
    """

    def __init__(
        self, sizes: AttentionSizes, half_widths: Sequence[int], scale: float
    ) -> None:
        super().__init__()
        self.scale = scale
        self.mlp_q, self.mlp_k, self.mlp_v, self.mlp_o = head_layers(sizes)
        self.gvec = nn.ModuleList(
            Linear(sizes.attention, 1) for _ in range(sizes.heads)
        )
        self.loc_conv = nn.ModuleList(
            nn.Conv2d(1, sizes.channels, (1, 2 * f + 1), bias=False)
            for f in half_widths
        )
        self.mlp_att = nn.ModuleList(
            Linear(sizes.channels, sizes.attention, bias=False)
            for _ in range(sizes.heads)
        )

    def start(self, hs: Tensor, padding: Tensor) -> Memory:
        """See :meth:`Attention.start`."""
        keys = per_head(F.linear(hs, joined(self.mlp_k)), len(self.mlp_k))
        values = per_head(F.linear(hs, joined(self.mlp_v)), len(self.mlp_v))
        kernels = [kernel[:, 0] for kernel in weights_of(self.loc_conv)]
        half_width = max(kernel.shape[2] for kernel in kernels) // 2
        kernel = torch.cat([_widen(kernel, half_width) for kernel in kernels])
        located = torch.stack([weight.T for weight in weights_of(self.mlp_att)])
        weights = (*query_weights(self.mlp_q), *energy_weights(self.gvec))
        return Memory(values, keys, padding, (*weights, kernel, located))

    def initial(self, memory: Memory, beam: int) -> State:
        """Uniform weights of each head (B, K, H, T)."""
        uniform = uniform_weights(memory.padding, memory.keys.dtype)[:, None, None]
        return (uniform.repeat(1, beam, len(self.mlp_q), 1),)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        heads = len(self.mlp_q)
        kernel, layer = memory.weights[4:]  # (H C, 1, 2F + 1), (H, C, A)
        located = F.conv1d(
            state[0].flatten(0, 1), kernel, padding=kernel.shape[2] // 2, groups=heads
        )
        located = located.unflatten(1, (heads, -1)).transpose(2, 3)
        located = located.unflatten(0, query.shape[:2])  # (B, K, H, T, C)
        energy = head_energies(memory, query, located, layer) * self.scale
        context, weights = attend_heads(memory, energy, self.mlp_o)
        return context, weights, (weights,)


def multi_head_loc(sizes: AttentionSizes) -> Attention:
    """Location attention with heads of one width, sharpened like a single head."""
    widths = [sizes.half_width] * sizes.heads
    return MultiHeadLocationAttention(sizes, widths, SHARPENING)


def multi_head_multi_res_loc(sizes: AttentionSizes) -> Attention:
    """Location attention whose heads see wider and wider surroundings."""
    heads = sizes.heads
    widths = [sizes.half_width * (h + 1) // heads for h in range(heads)]
    return MultiHeadLocationAttention(sizes, widths, 1.0 / math.sqrt(sizes.attention))


def head_layers(
    sizes: AttentionSizes,
) -> tuple[nn.ModuleList, nn.ModuleList, nn.ModuleList, nn.Linear]:
    """Layers for queries, keys and values of each head, and for the context."""
    query, key, value = (
        nn.ModuleList(
            Linear(size, sizes.attention, bias=bias) for _ in range(sizes.heads)
        )
        for size, bias in (
            (sizes.decoder, True),
            (sizes.encoder, False),
            (sizes.encoder, False),
        )
    )
    output = Linear(sizes.heads * sizes.attention, sizes.encoder, bias=False)
    return query, key, value, output


def weights_of(layers: nn.ModuleList) -> list[Tensor]:
    """The weight of each head's layer."""
    return [cast(Tensor, layer.weight) for layer in layers]


def biases_of(layers: nn.ModuleList) -> list[Tensor]:
    """The bias of each head's layer."""
    return [cast(Tensor, layer.bias) for layer in layers]


def joined(layers: nn.ModuleList) -> Tensor:
    """The weights of all heads as those of one layer (H A, size)."""
    return torch.cat(weights_of(layers))


def query_weights(layers: nn.ModuleList) -> tuple[Tensor, Tensor]:
    """Weight (H A, D) and bias (H A,) of the query layers of all heads."""
    return joined(layers), torch.cat(biases_of(layers))


def energy_weights(layers: nn.ModuleList) -> tuple[Tensor, Tensor]:
    """Weight (H, A, 1) and bias (H, 1) that turn hidden values into energies."""
    weight = torch.stack(weights_of(layers)).transpose(1, 2)
    return weight, torch.stack(biases_of(layers))


def per_head(xs: Tensor, heads: int) -> Tensor:
    """(B, T, H A) -> (B, H, T, A)."""
    return xs.unflatten(2, (heads, -1)).transpose(1, 2)


def head_energies(
    memory: Memory,
    query: Tensor,
    located: Tensor | None = None,
    layer: Tensor | None = None,
) -> Tensor:
    """Energies (B, K, H, T) for query (B, K, D).

    Args:
        memory: has keys (B, H, T, A).
        query: the decoder's state.
        located: what is known of past weights, (B, K, H, T, C).
        layer: each head's layer for it (H, C, A).
    """
    query_weight, query_bias, weight, bias = memory.weights[:4]
    query = F.linear(query, query_weight, query_bias).unflatten(2, (len(weight), -1))

    def energies_of(keys: Tensor, query: Tensor, *located: Tensor) -> Tensor:
        hidden = keys[:, None] + query[:, :, :, None]
        if layer is not None:
            hidden = hidden.add_(located[0] @ layer)
        return (tanh_(hidden) @ weight)[..., 0] + bias

    parts = [query] if located is None else [query, located]
    return piecewise(energies_of, memory.keys, parts)


def attend_heads(
    memory: Memory, energy: Tensor, output: nn.Linear
) -> tuple[Tensor, Tensor]:
    """Contexts (B, K, E) and weights (B, K, H, T) of energies (B, K, H, T)."""
    energy = energy.masked_fill(memory.padding[:, None, None], -torch.inf)
    weights = torch.softmax(energy, -1)
    heads = weights.transpose(1, 2) @ memory.values  # (B, H, K, A)
    return output(heads.transpose(1, 2).flatten(2)), weights


def _widen(kernel: Tensor, half_width: int) -> Tensor:
    """Zeros around kernels (C, 1, 2f + 1), which make them (C, 1, 2F + 1)."""
    margin = half_width - kernel.shape[2] // 2
    return F.pad(kernel, (margin, margin))
