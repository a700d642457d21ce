"""What all attentions of the RNN decoder have in common.

An attention holds nothing of an utterance itself: ``start`` computes once what depends
on the encoder alone (:class:`Memory`), ``forward`` makes one step for K hypotheses of
each of B utterances, and what passes from step to step is a tuple of tensors
(B, K, ...). Training is the case K = 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.nets_utils import tanh_

State = tuple[Tensor, ...]
PIECE = 1 << 20  # numbers that are computed at once in a search on the CPU
SHARPENING = 2.0  # energies are multiplied by it before the softmax


@dataclass(frozen=True)
class AttentionSizes:
    """Everything that shapes an attention; each type takes what it needs.

    Attributes:
        encoder: size E of encoder frames and of the context.
        decoder: size D of the query.
        attention: size A of the space where they meet.
        heads: number H of heads.
        window: weight vectors that are looked back at.
        channels: channels C of the convolution over weights.
        half_width: F; the convolution spans 2F + 1 frames.
    """

    encoder: int
    decoder: int
    attention: int
    heads: int = 4
    window: int = 5
    channels: int = 10
    half_width: int = 100


@dataclass(frozen=True)
class Memory:
    """What an attention computes once for a batch of utterances.

    Attributes:
        values: what is averaged, (B, T, E), or (B, H, T, A) with heads.
        keys: what the query is compared with, (B, T, A) or (B, H, T, A).
        padding: (B, T) with True = padding.
        weights: parameters brought into the shape that steps want.
    """

    values: Tensor
    keys: Tensor
    padding: Tensor
    weights: tuple[Tensor, ...] = ()

    def select(self, utterances: Tensor) -> Memory:
        """Keep some of the utterances, given by number."""
        return Memory(
            self.values[utterances],
            self.keys[utterances],
            self.padding[utterances],
            self.weights,
        )


class Attention(nn.Module, ABC):
    """Finds the encoder frames that matter for the next label.

    Attributes:
        mlp_enc: makes keys of frames, in most types.
    """

    mlp_enc: nn.Linear

    def start(self, hs: Tensor, padding: Tensor) -> Memory:
        """Prepare for encoder output hs (B, T, E); padding (B, T), True = padding."""
        return Memory(hs, self.mlp_enc(hs), padding)

    def initial(self, memory: Memory, beam: int) -> State:
        """The state before the first step, for ``beam`` hypotheses per utterance."""
        return ()

    @abstractmethod
    def forward(
        self, memory: Memory, query: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """One step.

        Args:
            memory: what ``start`` returned.
            query: the decoder's state (B, K, D).
            state: what ``initial`` or the last step returned.

        Returns:
            Contexts (B, K, E), weights (B, K, T) or (B, K, H, T), and the next state.
        """


def uniform_weights(padding: Tensor, dtype: torch.dtype) -> Tensor:
    """The same weight for each valid frame: (B, T), rows sum to 1."""
    valid = (~padding).to(dtype)
    return valid / valid.sum(1, keepdim=True)


def attend(memory: Memory, energy: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (B, K, T) of energies (B, K, T), and the contexts (B, K, E)."""
    energy = energy.masked_fill(memory.padding[:, None], -torch.inf)
    weights = torch.softmax(SHARPENING * energy, -1)
    return weights @ memory.values, weights


def energies(
    memory: Memory,
    query: Tensor,
    gvec: nn.Linear,
    looked_at: Tensor | None = None,
    layer: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Energies (B, K, T), g . tanh(keys + query + what a layer makes of past weights).

    Args:
        memory: has keys (B, T, A).
        query: (B, K, A).
        gvec: has weights g.
        looked_at: what is known of past weights, (B, K, T, C).
        layer: (..., C) -> (..., A).
    """

    def energies_of(keys: Tensor, query: Tensor, *looked_at: Tensor) -> Tensor:
        hidden = keys[:, None] + query[:, :, None]
        if layer is not None:
            hidden = hidden.add_(layer(*looked_at))
        return gvec(tanh_(hidden))[..., 0]

    parts = [query] if looked_at is None else [query, looked_at]
    return piecewise(energies_of, memory.keys, parts)


def piecewise(
    function: Callable[..., Tensor], keys: Tensor, parts: Sequence[Tensor]
) -> Tensor:
    """Call ``function(keys (B, ...), *parts (B, K, ...)) -> (B, K, ...)``, in a search
    on the CPU for a few hypotheses at a time.

    What it computes, as much as the keys for each hypothesis, then fits into a cache:
    for 32 utterances it takes a fifth of the time.
    """
    if keys.is_cuda or torch.is_grad_enabled():
        return function(keys, *parts)
    beam = parts[0].shape[1]
    count = max(1, PIECE // keys[0].numel())
    utterances, hypotheses = max(1, count // beam), min(count, beam)
    found = [
        torch.cat(
            [
                function(few_keys, *few)
                for few in zip(*(x.split(hypotheses, 1) for x in some), strict=True)
            ],
            1,
        )
        for few_keys, *some in zip(
            keys.split(utterances), *(x.split(utterances) for x in parts), strict=True
        )
    ]
    return torch.cat(found)
