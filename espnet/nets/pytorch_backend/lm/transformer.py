"""The Transformer language model."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.lm.losses import mean_over_tokens
from espnet.nets.pytorch_backend.lm.options import TransformerLMOptions
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.encoder import Encoder
from espnet.nets.pytorch_backend.transformer.feed_forward import (
    ACTIVATIONS,
    FeedForward,
)
from espnet.nets.pytorch_backend.transformer.input_layers import LinearInput
from espnet.nets.pytorch_backend.transformer.layers import EncoderLayer
from espnet.nets.pytorch_backend.transformer.positions import Positions
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
        self.decoder = nn.Linear(size, n_vocab)
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
        return LMScorer(self)

    @property
    def _layers(self) -> Sequence[EncoderLayer]:
        return cast(Sequence[EncoderLayer], self.encoder.encoders)

    def start(self, rows: int) -> tuple[Tensor, ...]:
        """See :class:`Stepwise`: keys and values of each block, and which tokens count.

        The last part (N, L) is True for tokens that are not 0, which nothing sees.
        """
        caches = [
            cast(MultiHeadedAttention, layer.self_attn).start(rows)
            for layer in self._layers
        ]
        seen = torch.empty(rows, 0, dtype=torch.bool, device=caches[0].device)
        return *caches, seen

    def step(
        self, tokens: Tensor, memory: tuple[Tensor, ...], position: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See :class:`Stepwise`."""
        *caches, seen = memory
        seen = torch.cat([seen, (tokens != 0)[:, None]], 1)
        mask = None if bool(seen.all()) else seen[:, None, None]
        xs = self.embed_drop(self.embed(tokens))[:, None]
        *front, positions = cast(Sequence[nn.Module], self.encoder.embed)
        for part in front:
            xs = part(xs)
        h = positions(xs, position)[0][:, 0]
        after = []
        for layer, cache in zip(self._layers, caches, strict=True):
            attention = cast(MultiHeadedAttention, layer.self_attn)
            mixed, cache = attention.step(layer.norm1(h), cache, position, mask)
            h = h + mixed
            h = h + layer.feed_forward(layer.norm2(h))
            after.append(cache)
        scores = self.decoder(self.encoder.after_norm(h)).log_softmax(-1)
        return scores, (*after, seen)
