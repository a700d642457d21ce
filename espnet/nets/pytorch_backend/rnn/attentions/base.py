"""What all attentions of the RNN decoder have in common.

An attention holds nothing of an utterance itself: ``start`` computes once what depends
on the encoder alone (:class:`Memory`), ``forward`` makes one step for K hypotheses of
each of B utterances, and what passes from step to step is a tuple of tensors
(B, K, ...). Training is the case K = 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.nets_utils import tanh_

State = tuple[Tensor, ...]
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
    memory: Memory, query: Tensor, located: Tensor | None, gvec: nn.Linear
) -> Tensor:
    """Energies (B, K, T) for query (B, K, A) and an addend (B, K, T, A)."""
    hidden = memory.keys[:, None] + query[:, :, None]
    if located is not None:
        hidden = hidden.add_(located)
    return gvec(tanh_(hidden))[..., 0]
