"""Attentions that also look at where they have been."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.rnn.attentions.base import (
    Attention,
    AttentionSizes,
    Memory,
    State,
    attend,
    energies,
    uniform_weights,
)


class LocationAttention(Attention):
    """Adds a convolution of the previous weights (Chorowski et al., 2015).

    Energy g . tanh(W h + V s + U conv(w)); w is uniform at first.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.mlp_enc = Linear(sizes.encoder, sizes.attention)
        self.mlp_dec = Linear(sizes.decoder, sizes.attention, bias=False)
        self.mlp_att = Linear(sizes.channels, sizes.attention, bias=False)
        self.loc_conv = weight_convolution(sizes)
        self.gvec = Linear(sizes.attention, 1)

    def initial(self, memory: Memory, beam: int) -> State:
        """See :meth:`Attention.initial`."""
        return (repeated_uniform(memory, beam),)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        located = convolve(self.loc_conv, state[0][:, :, None])
        query = self.mlp_dec(query)
        energy = energies(memory, query, self.gvec, located, self.mlp_att)
        context, weights = attend(memory, energy)
        return context, weights, (weights,)


class Location2dAttention(Attention):
    """Location attention whose convolution spans the last ``window`` weight vectors."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.window = sizes.window
        self.mlp_enc = Linear(sizes.encoder, sizes.attention)
        self.mlp_dec = Linear(sizes.decoder, sizes.attention, bias=False)
        self.mlp_att = Linear(sizes.channels, sizes.attention, bias=False)
        self.loc_conv = weight_convolution(sizes, sizes.window)
        self.gvec = Linear(sizes.attention, 1)

    def initial(self, memory: Memory, beam: int) -> State:
        """The last weight vectors, oldest first: (B, K, window, T)."""
        uniform = repeated_uniform(memory, beam)[:, :, None]
        return (uniform.expand(-1, -1, self.window, -1),)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        located = convolve(self.loc_conv, state[0])
        query = self.mlp_dec(query)
        energy = energies(memory, query, self.gvec, located, self.mlp_att)
        context, weights = attend(memory, energy)
        latest = torch.cat([state[0][:, :, 1:], weights[:, :, None]], 2)
        return context, weights, (latest,)


class LocationRecurrentAttention(Attention):
    """An LSTM follows the previous weights; its output is added for all frames."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.mlp_enc = Linear(sizes.encoder, sizes.attention)
        self.mlp_dec = Linear(sizes.decoder, sizes.attention, bias=False)
        self.loc_conv = weight_convolution(sizes)
        self.att_lstm = nn.LSTMCell(sizes.channels, sizes.attention, bias=False)
        self.gvec = Linear(sizes.attention, 1)

    def initial(self, memory: Memory, beam: int) -> State:
        """Uniform weights (B, K, T), and the LSTM's two states (B, K, A)."""
        weights = repeated_uniform(memory, beam)
        zeros = weights.new_zeros(*weights.shape[:2], self.att_lstm.hidden_size)
        return weights, zeros, zeros

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        located = convolve(self.loc_conv, state[0][:, :, None]).relu()
        # the convolution reaches behind the end, where an utterance alone has no frames
        located = located.masked_fill(memory.padding[:, None, :, None], 0.0).amax(2)
        follow, cell = self.att_lstm(
            located.flatten(0, 1), (state[1].flatten(0, 1), state[2].flatten(0, 1))
        )
        follow, cell = follow.view_as(state[1]), cell.view_as(state[2])
        query = self.mlp_dec(query) + follow
        energy = energies(memory, query, self.gvec)
        context, weights = attend(memory, energy)
        return context, weights, (weights, follow, cell)


class CoverageAttention(Attention):
    """Adds how much of each frame has been attended to so far (after Tu et al., 2016).

    Energy g . tanh(W h + V s + u k), k the sum of all weights, the uniform ones at the
    start included.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.mlp_enc = Linear(sizes.encoder, sizes.attention)
        self.mlp_dec = Linear(sizes.decoder, sizes.attention, bias=False)
        self.wvec = Linear(1, sizes.attention)
        self.gvec = Linear(sizes.attention, 1)

    def initial(self, memory: Memory, beam: int) -> State:
        """The sum of weights (B, K, T)."""
        return (repeated_uniform(memory, beam),)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        query, covered = self.mlp_dec(query), state[0][..., None]
        energy = energies(memory, query, self.gvec, covered, self.wvec)
        context, weights = attend(memory, energy)
        return context, weights, (state[0] + weights,)


class CoverageLocationAttention(Attention):
    """Location attention that convolves the sum of all previous weights."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.mlp_enc = Linear(sizes.encoder, sizes.attention)
        self.mlp_dec = Linear(sizes.decoder, sizes.attention, bias=False)
        self.mlp_att = Linear(sizes.channels, sizes.attention, bias=False)
        self.loc_conv = weight_convolution(sizes)
        self.gvec = Linear(sizes.attention, 1)

    def initial(self, memory: Memory, beam: int) -> State:
        """The sum of weights (B, K, T)."""
        return (repeated_uniform(memory, beam),)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        located = convolve(self.loc_conv, state[0][:, :, None])
        query = self.mlp_dec(query)
        energy = energies(memory, query, self.gvec, located, self.mlp_att)
        context, weights = attend(memory, energy)
        return context, weights, (state[0] + weights,)


def weight_convolution(sizes: AttentionSizes, window: int = 1) -> nn.Conv2d:
    """The convolution over ``window`` weight vectors; 2-D as in ESPnet1's files."""
    kernel = (window, 2 * sizes.half_width + 1)
    return nn.Conv2d(1, sizes.channels, kernel, bias=False)


def convolve(convolution: nn.Conv2d, weights: Tensor) -> Tensor:
    """Convolve weights (B, K, window, T) over time -> (B, K, T, C)."""
    kernel = convolution.weight[:, 0]  # (C, window, 2F + 1)
    convolved = F.conv1d(weights.flatten(0, 1), kernel, padding=kernel.shape[2] // 2)
    return convolved.transpose(1, 2).unflatten(0, weights.shape[:2])


def repeated_uniform(memory: Memory, beam: int) -> Tensor:
    """Uniform weights (B, K, T) for ``beam`` hypotheses per utterance."""
    uniform = uniform_weights(memory.padding, memory.keys.dtype)
    return uniform[:, None].repeat(1, beam, 1)
