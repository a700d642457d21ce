"""Attentions that look at content alone, and the one that looks at nothing."""

from __future__ import annotations

import torch
from torch import Tensor

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


class NoAttention(Attention):
    """The mean of all frames, whatever the query."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()

    def start(self, hs: Tensor, padding: Tensor) -> Memory:
        """Compute the mean; it takes the place of the frames."""
        weights = uniform_weights(padding, hs.dtype)[:, None]
        return Memory(weights @ hs, weights, padding)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        beam = query.shape[1]
        context = memory.values.expand(-1, beam, -1)
        return context, memory.keys.expand(-1, beam, -1), state


class DotAttention(Attention):
    """Energy tanh(W h) . tanh(V s) (after Luong et al., 2015)."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.mlp_enc = Linear(sizes.encoder, sizes.attention)
        self.mlp_dec = Linear(sizes.decoder, sizes.attention)

    def start(self, hs: Tensor, padding: Tensor) -> Memory:
        """See :meth:`Attention.start`."""
        return Memory(hs, torch.tanh(self.mlp_enc(hs)), padding)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        energy = torch.tanh(self.mlp_dec(query)) @ memory.keys.transpose(1, 2)
        return *attend(memory, energy), state


class AdditiveAttention(Attention):
    """Energy g . tanh(W h + V s) (Bahdanau et al., 2015)."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__()
        self.mlp_enc = Linear(sizes.encoder, sizes.attention)
        self.mlp_dec = Linear(sizes.decoder, sizes.attention, bias=False)
        self.gvec = Linear(sizes.attention, 1)

    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See :meth:`Attention.forward`."""
        energy = energies(memory, self.mlp_dec(query), self.gvec)
        return *attend(memory, energy), state
