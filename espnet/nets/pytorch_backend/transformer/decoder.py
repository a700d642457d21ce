"""The Transformer decoder (Vaswani et al., 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.packing import ready
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.branches import Branches
from espnet.nets.pytorch_backend.transformer.encoder import rename_old
from espnet.nets.pytorch_backend.transformer.feed_forward import (
    ACTIVATIONS,
    FeedForward,
)
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.layers import DecoderLayer, layer_norm
from espnet.nets.pytorch_backend.transformer.mixers import MIXERS, MixerSizes
from espnet.nets.pytorch_backend.transformer.options import TransformerOptions
from espnet.nets.pytorch_backend.transformer.positions import Positions
from espnet.nets.scorer_interface import BatchScorer


@dataclass(frozen=True)
class DecoderState:
    """Where N = B * beam hypotheses stand.

    Attributes:
        memory: keys and values (B, H, T, D / H) of each layer's ``src_attn``.
        mask: (B, 1, 1, T), 0 for frames of the utterance, else -inf; None: all are.
        branches: the labels read so far.
        caches: of each layer's ``self_attn``.
    """

    memory: tuple[tuple[Tensor, Tensor], ...]
    mask: Tensor | None
    branches: Branches
    caches: tuple[Tensor, ...]


class Decoder(nn.Module, BatchScorer):
    """Predicts the next label from the labels so far and the encoder's frames.

    Args:
        odim: symbols V; the last one starts and ends a sequence.
        size: D.
        layers: the blocks.
        dropout_rate: of embedded labels.
    """

    def __init__(
        self, odim: int, size: int, layers: Iterable[DecoderLayer], dropout_rate: float
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Embedding(odim, size), Positions(size, dropout_rate)
        )
        self.decoders = nn.ModuleList(layers)
        self.after_norm = layer_norm(size)
        self.output_layer = Linear(size, odim)
        old_names = (("output_norm.", "after_norm."),)
        self.register_load_state_dict_pre_hook(rename_old(old_names))

    def forward(self, hs_pad: Tensor, hlens: Tensor, ys_in: Tensor) -> Tensor:
        """Read labels and predict each next one.

        Args:
            hs_pad: encoder output (B, T, D).
            hlens: valid frames (B,), on the CPU where that is possible.
            ys_in: labels behind the start symbol (B, U); what pads them does not
                matter, for no label sees a later one.

        Returns:
            Logits (B, U, V).
        """
        frames = Frames.of(hs_pad, hlens)
        labels = Frames(hlens.new_full(hlens.shape, ys_in.shape[1]))
        ys = self._read(ys_in, 0)
        for layer in self.decoders:
            ys = layer(ys, labels, hs_pad, frames)
        return self.output_layer(self.after_norm(ys))

    def prepared(self) -> Decoder:
        """See :meth:`BatchScorer.prepared`."""
        return ready(self)

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> DecoderState:
        """See :meth:`BatchScorer.start`."""
        valid = Frames.of(memory, lengths).valid
        mask = None
        if valid is not None:
            mask = memory.new_zeros(valid.shape).masked_fill_(~valid, -torch.inf)
        prepared = []
        for layer in self._layers:
            keys, values = layer.src_attn.keys_values(memory)
            prepared.append((keys.contiguous(), values.contiguous()))
        caches = [layer.self_attn.start(memory, beam) for layer in self._layers]
        return DecoderState(
            memory=tuple(prepared),
            mask=None if mask is None else mask[:, None, None],
            branches=Branches.none(len(memory), beam, memory.device),
            caches=tuple(caches),
        )

    @torch.no_grad()
    def score(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """See :meth:`BatchScorer.score`; in evaluation, and each state only once."""
        y = self._read(tokens[:, None], state.branches.position)[:, 0]
        branches = state.branches.grown()
        caches = []
        for layer, cache, memory in zip(
            self._layers, state.caches, state.memory, strict=True
        ):
            y, cache = layer.step(y, cache, branches, *memory, state.mask)
            caches.append(cache)
        scores = F.log_softmax(self.output_layer(self.after_norm(y)), -1)
        return scores, replace(state, branches=branches, caches=tuple(caches))

    def select(self, state: DecoderState, rows: Tensor, tokens: Tensor) -> DecoderState:
        """See :meth:`BatchScorer.select`."""
        beam = state.branches.seen.shape[1]
        branches, choice = state.branches.select(rows)
        caches = tuple(
            layer.self_attn.follow(cache, choice, beam)
            for layer, cache in zip(self._layers, state.caches, strict=True)
        )
        memory, mask, kept = state.memory, state.mask, choice.utterances
        if kept is not None:  # some utterances have ended
            memory = tuple((keys[kept], values[kept]) for keys, values in memory)
            mask = None if mask is None else mask[kept]
        return replace(
            state, memory=memory, mask=mask, branches=branches, caches=caches
        )

    @property
    def _layers(self) -> Sequence[DecoderLayer]:
        return cast(Sequence[DecoderLayer], self.decoders)

    def _read(self, tokens: Tensor, position: int) -> Tensor:
        """Embedded labels (B, U, D), the first of which is number ``position``."""
        embedding, positions = self.embed
        return positions(embedding(tokens), position)[0]


def transformer_decoder(options: TransformerOptions, odim: int) -> Decoder:
    """The decoder that options describe."""
    size, dropout_rate = options.adim, options.dropout_rate
    mixer = MIXERS[options.transformer_decoder_selfattn_layer_type]
    layers = []
    for kernel in options.kernels("decoder"):
        sizes = MixerSizes(
            *(size, options.aheads, options.wshare, kernel, options.ldconv_usebias),
            dropout_rate=options.attention_dropout(),
            causal=True,
        )
        source = MultiHeadedAttention(options.aheads, size, options.attention_dropout())
        feed_forward = FeedForward(
            size, options.dunits, dropout_rate, ACTIVATIONS["relu"]
        )
        layers.append(
            DecoderLayer(size, mixer(sizes), source, feed_forward, dropout_rate)
        )
    return Decoder(odim, size, layers, dropout_rate)
