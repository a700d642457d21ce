"""The RNN decoder: embedding, attention, recurrent cells, output layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import make_pad_mask
from espnet.nets.pytorch_backend.rnn.attentions.base import Attention, Memory, State
from espnet.nets.pytorch_backend.rnn.cells import CELLS, Cell, CellState, Weights
from espnet.nets.scorer_interface import BatchScorer


@dataclass(frozen=True)
class DecoderState:
    """Where N = B * beam hypotheses stand.

    Attributes:
        memory: what the attention has computed per utterance.
        cells: state of each layer.
        attention: tensors (B, beam, ...) that the attention hands on.
        weights: those of the first cell, prepared for its steps.
    """

    memory: Memory
    beam: int
    cells: tuple[CellState, ...]
    attention: State
    weights: Weights


class Decoder(nn.Module, BatchScorer):
    """Predicts the next label from the labels so far and the encoder's frames.

    Args:
        odim: symbols V; the last one starts and ends a sequence.
        eprojs: size E of encoder frames.
        dtype: ``lstm`` or ``gru``.
        dlayers, dunits: layers, and units D of each.
        attention: finds the frames that matter.
        context_residual: the output layer sees the context too.
        dropout_rate: of embeddings and of each layer's output.
        sampling_probability: share of positions at which training reads the decoder's
            own best label (Bengio et al., 2015).
    """

    def __init__(
        self,
        odim: int,
        eprojs: int,
        dtype: str,
        dlayers: int,
        dunits: int,
        attention: Attention,
        context_residual: bool = False,
        dropout_rate: float = 0.0,
        sampling_probability: float = 0.0,
    ) -> None:
        super().__init__()
        self.eos = odim - 1
        self.kind = CELLS[dtype]
        self.context_residual = context_residual
        self.sampling_probability = sampling_probability
        self.embed = nn.Embedding(odim, dunits)
        self.dropout_emb = nn.Dropout(dropout_rate)
        self.decoder = nn.ModuleList(
            self.kind.module(dunits if layer else dunits + eprojs, dunits)
            for layer in range(dlayers)
        )
        self.dropout_dec = nn.ModuleList(nn.Dropout(dropout_rate) for _ in self.decoder)
        self.output = Linear(dunits + eprojs * context_residual, odim)
        self.att = nn.ModuleList([attention])

    def forward(
        self, hs_pad: Tensor, hlens: Tensor, ys_in: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Read labels and predict each next one.

        Args:
            hs_pad: encoder output (B, T, E), zeros behind each length.
            hlens: valid frames (B,).
            ys_in: labels behind the start symbol (B, U).

        Returns:
            Logits (B, U, V), and attention weights (B, U, T) or (B, U, H, T).
        """
        state = self.start(hs_pad, hlens, 1)
        labels = self._read(ys_in).unbind(1)
        sampled = self._draw(len(labels))
        features: list[Tensor] = []
        weights: list[Tensor] = []
        for i, label in enumerate(labels):
            if sampled[i]:
                label = self._read(self.output(features[-1]).argmax(-1))
            feature, weight, state = self._step(label, state)
            features.append(feature)
            weights.append(weight[:, 0])
        return self.output(torch.stack(features, 1)), torch.stack(weights, 1)

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> DecoderState:
        """See :meth:`BatchScorer.start`."""
        padding = make_pad_mask(lengths, memory.shape[1]).to(memory.device)
        prepared = self._attention.start(memory, padding)
        units = self.embed.embedding_dim
        z = memory.new_zeros(len(memory) * beam, units)
        c = memory.new_zeros(len(memory) * beam, units * self.kind.memory)
        return DecoderState(
            memory=prepared,
            beam=beam,
            cells=(CellState(z, c),) * len(self.decoder),
            attention=self._attention.initial(prepared, beam),
            weights=self.kind.prepare(self._cells[0], units),
        )

    def score(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """See :meth:`BatchScorer.score`."""
        feature, _, state = self._step(self._read(tokens), state)
        return F.log_softmax(self.output(feature), -1), state

    def select(self, state: DecoderState, rows: Tensor, tokens: Tensor) -> DecoderState:
        """See :meth:`BatchScorer.select`."""
        cells = tuple(CellState(z[rows], c[rows]) for z, c in state.cells)
        attention = tuple(
            part.flatten(0, 1)[rows].unflatten(0, (-1, state.beam))
            for part in state.attention
        )
        memory = state.memory
        if len(rows) < len(state.cells[0].z):  # some utterances have ended
            memory = memory.select(rows[:: state.beam] // state.beam)
        return replace(state, memory=memory, cells=cells, attention=attention)

    @property
    def _attention(self) -> Attention:
        return cast(Attention, self.att[0])

    @property
    def _cells(self) -> Sequence[Cell]:
        return cast(Sequence[Cell], self.decoder)

    def _draw(self, steps: int) -> list[bool]:
        """At which steps to read the decoder's own output, never at the first.

        The numbers come from torch's generator of the CPU, which snapshots hold.
        """
        if not (self.training and self.sampling_probability > 0.0):
            return [False] * steps
        drawn = torch.rand(steps, device="cpu") < self.sampling_probability
        return [False, *drawn[1:].tolist()]

    def _read(self, tokens: Tensor) -> Tensor:
        """What labels (...) add to the gates of the first cell (..., G D)."""
        embedded = self.dropout_emb(self.embed(tokens))
        return self.kind.project(self._cells[0], embedded)

    def _step(
        self, label: Tensor, state: DecoderState
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """Read one label (N, G D): what the output layer sees, weights, next state."""
        query = self.dropout_dec[0](state.cells[0].z).unflatten(0, (-1, state.beam))
        context, weights, attention = self._attention(
            state.memory, query, state.attention
        )
        context = context.flatten(0, 1)
        cells = [self.kind.first(label, context, state.cells[0], state.weights)]
        xs = self.dropout_dec[0](cells[0].z)
        for layer in range(1, len(self.decoder)):
            before = state.cells[layer]
            cells.append(self.kind.step(self._cells[layer], xs, before))
            xs = self.dropout_dec[layer](cells[layer].z)
        if self.context_residual:
            xs = torch.cat([xs, context], 1)
        return xs, weights, replace(state, cells=tuple(cells), attention=attention)
