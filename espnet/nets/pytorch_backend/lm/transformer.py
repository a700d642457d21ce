"""The Transformer language model."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.lm.losses import mean_over_tokens
from espnet.nets.pytorch_backend.lm.options import TransformerLMOptions
from espnet.nets.pytorch_backend.packing import ready
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.branches import Branches
from espnet.nets.pytorch_backend.transformer.encoder import Encoder
from espnet.nets.pytorch_backend.transformer.feed_forward import (
    ACTIVATIONS,
    FeedForward,
)
from espnet.nets.pytorch_backend.transformer.input_layers import LinearInput
from espnet.nets.pytorch_backend.transformer.layers import EncoderLayer
from espnet.nets.pytorch_backend.transformer.positions import Positions
from espnet.nets.scorer_interface import BatchScorer
from espnet.nets.scorers.lm import LMScorer
from espnet.utils.options import read_config


class NoPositions(Positions):
    """Leaves the order of tokens to the causal attention (``--pos-enc none``)."""

    def forward(self, xs: Tensor, start: int = 0) -> tuple[Tensor, Tensor | None]:
        """xs (B, T, D) as they are."""
        return xs, None


POSITIONS: dict[str, type[Positions]] = {"sinusoidal": Positions, "none": NoPositions}


class TransformerLM(nn.Module, LMInterface):
    """Embedding, Transformer blocks that see no later token, output layer.

    Args:
        n_vocab: tokens V.
        args: values of :class:`TransformerLMOptions`.
    """

    Config = TransformerLMOptions

    def __init__(self, n_vocab: int, args: Namespace) -> None:
        super().__init__()
        options = read_config(TransformerLMOptions, args)
        size, dropout_rate = options.att_unit, options.dropout_rate
        self.embed = nn.Embedding(n_vocab, options.embed_unit)
        self.embed_drop = nn.Dropout(options.emb_dropout_rate)
        positions = POSITIONS[options.pos_enc](size)
        layers = [
            EncoderLayer(
                size,
                MultiHeadedAttention(
                    options.head, size, options.att_dropout_rate, causal=True
                ),
                FeedForward(size, options.unit, dropout_rate, ACTIVATIONS["relu"]),
                dropout_rate,
            )
            for _ in range(options.layer)
        ]
        first = LinearInput(
            options.embed_unit, size, dropout_rate, positions, rectified=True
        )
        self.encoder = Encoder(first, layers, size)
        self.decoder = Linear(size, n_vocab)
        if options.tie_weights:
            self.decoder.weight = self.embed.weight

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`LMInterface`; padding is behind all tokens, so none sees it."""
        hs = self.embed_drop(self.embed(x))
        lengths = torch.full((len(x),), x.shape[1])
        hs, _ = self.encoder(hs, lengths)
        return mean_over_tokens(self.decoder(hs), x, t)

    def scorer(self) -> LMScorer:
        """See :class:`LMInterface`."""
        return TransformerScorer(self)

    @property
    def layers(self) -> Sequence[EncoderLayer]:
        """The blocks."""
        return cast(Sequence[EncoderLayer], self.encoder.encoders)

    def embedded(self, tokens: Tensor, position: int) -> Tensor:
        """What the first block reads (N, D): tokens (N,) behind ``position`` others."""
        xs = self.embed_drop(self.embed(tokens))[:, None]
        *front, positions = cast(Sequence[nn.Module], self.encoder.embed)
        for part in front:
            xs = part(xs)
        return cast(Tensor, positions(xs, position)[0][:, 0])

    def predicted(self, hs: Tensor) -> Tensor:
        """Log-probabilities (N, V) from the last block's output (N, D)."""
        return self.decoder(self.encoder.after_norm(hs)).log_softmax(-1)

    def start(self, rows: int) -> tuple[Tensor, ...]:
        """See :class:`Stepwise`: keys and values of each block, and which tokens count.

        The last part (N, L) is True for tokens that are not 0, which nothing sees.
        """
        like = self.embed.weight.new_empty(rows)
        caches = [attention(layer).start(like) for layer in self.layers]
        return *caches, torch.empty(rows, 0, dtype=torch.bool, device=like.device)

    def step(
        self, tokens: Tensor, memory: tuple[Tensor, ...], position: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See :class:`Stepwise`."""
        *caches, seen = memory
        seen = torch.cat([seen, (tokens != 0)[:, None]], 1)
        mask = None if bool(seen.all()) else seen[:, None, None]
        h = self.embedded(tokens, position)
        after = []
        for layer, cache in zip(self.layers, caches, strict=True):
            mixed, cache = attention(layer).step(layer.norm1(h), cache, position, mask)
            h = h + mixed
            h = h + layer.feed_forward(layer.norm2(h))
            after.append(cache)
        return self.predicted(h), (*after, seen)


def attention(layer: EncoderLayer) -> MultiHeadedAttention:
    """The self-attention of a block."""
    return cast(MultiHeadedAttention, layer.self_attn)


class TransformerScorer(LMScorer):
    """Keeps a cache of its own for each hypothesis; a prepared one, one for a beam.

    Args:
        model: in evaluation mode.
    """

    model: TransformerLM

    def prepared(self) -> BatchScorer:
        """See :meth:`BatchScorer.prepared`."""
        return BeamTransformer(ready(self.model))


@dataclass(frozen=True)
class BeamState:
    """What N = B * beam hypotheses have read, and the cache of each block."""

    branches: Branches
    caches: tuple[Tensor, ...]


class BeamTransformer(BatchScorer):
    """Keeps each token of a beam once, so that a step costs the same at any length.

    Args:
        model: in evaluation mode, ready for a search.
    """

    def __init__(self, model: TransformerLM) -> None:
        self.model = model

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> BeamState:
        """See :class:`BatchScorer`."""
        like = self.model.embed.weight.new_empty(len(memory))
        caches = (attention(layer).start(like, beam) for layer in self.model.layers)
        return BeamState(Branches.none(len(memory), beam, like.device), tuple(caches))

    @torch.no_grad()
    def score(self, tokens: Tensor, state: BeamState) -> tuple[Tensor, BeamState]:
        """See :class:`BatchScorer`; each state is used only once."""
        h = self.model.embedded(tokens, state.branches.position)
        branches = state.branches.grown(visible=tokens != 0)
        caches = []
        for layer, cache in zip(self.model.layers, state.caches, strict=True):
            mixed, cache = attention(layer).extend(layer.norm1(h), cache, branches)
            h = h + mixed
            h = h + layer.feed_forward(layer.norm2(h))
            caches.append(cache)
        return self.model.predicted(h), BeamState(branches, tuple(caches))

    def select(self, state: BeamState, rows: Tensor, tokens: Tensor) -> BeamState:
        """See :class:`BatchScorer`."""
        beam = state.branches.seen.shape[1]
        branches, choice = state.branches.select(rows)
        caches = (
            attention(layer).follow(cache, choice, beam)
            for layer, cache in zip(self.model.layers, state.caches, strict=True)
        )
        return BeamState(branches, tuple(caches))
