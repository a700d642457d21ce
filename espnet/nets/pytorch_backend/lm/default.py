"""The recurrent language model ``default``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.lm.losses import mean_over_sentences
from espnet.nets.pytorch_backend.lm.options import RNNLMOptions
from espnet.nets.pytorch_backend.rnn.cells import CELLS, Cell, CellState
from espnet.nets.scorers.lm import LMScorer
from espnet.utils.options import read_config

FIRST_RANGE = 0.1  # weights start in [-0.1, 0.1]


class RNNLM(nn.Module):
    """Embeddings, layers of cells and an output layer (Zaremba et al., 2014).

    Args:
        n_vocab: tokens V.
        options: sizes and cell.
    """

    def __init__(self, n_vocab: int, options: RNNLMOptions) -> None:
        super().__init__()
        units = options.unit
        self.kind = CELLS[options.type or "lstm"]
        embed_units = options.embed_unit or units
        self.embed = nn.Embedding(n_vocab, embed_units)
        self.rnn = nn.ModuleList(
            self.kind.module(units if i else embed_units, units)
            for i in range(options.layer)
        )
        self.lo = Linear(units, n_vocab)
        self.dropout = nn.Dropout(options.dropout_rate)
        self.embed_dropout = nn.Dropout(options.emb_dropout_rate)
        self.units = units
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -FIRST_RANGE, FIRST_RANGE)
        if options.tie_weights:
            self.lo.weight = self.embed.weight

    @property
    def cells(self) -> Sequence[Cell]:
        """The cells, first layer first."""
        return cast(Sequence[Cell], self.rnn)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens x (B, L) -> logits (B, L, V), each of the token that follows."""
        hs = self.embed_dropout(self.embed(x))
        zeros = hs.new_zeros(1, len(x), self.units)
        for cell in self.cells:
            hs = self.dropout(hs)
            weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
            # all steps of a layer at once: one layer, no dropout, one direction
            settings = (True, 1, 0.0, self.training, False, True)
            if self.kind.memory:
                hs = torch.lstm(hs, (zeros, zeros), weights, *settings)[0]
            else:
                hs = torch.gru(hs, zeros, weights, *settings)[0]
        return self.lo(self.dropout(hs))

    def start(self, rows: int) -> tuple[Tensor, ...]:
        """See :class:`Stepwise`: output and memory of each layer in turn."""
        like = self.embed.weight
        memory: list[Tensor] = []
        for _ in self.cells:
            memory.append(like.new_zeros(rows, self.units))
            memory.append(like.new_zeros(rows, self.units * self.kind.memory))
        return tuple(memory)

    def step(
        self, tokens: Tensor, memory: tuple[Tensor, ...], position: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See :class:`Stepwise`."""
        h = self.embed_dropout(self.embed(tokens))
        after: list[Tensor] = []
        for i, cell in enumerate(self.cells):
            state = CellState(*memory[2 * i : 2 * i + 2])
            state = self.kind.step(cell, self.dropout(h), state)
            after += state
            h = state.z
        return self.lo(self.dropout(h)).log_softmax(-1), tuple(after)


class DefaultRNNLM(nn.Module, LMInterface):
    """The model that recipes train unless told otherwise.

    Args:
        n_vocab: tokens V.
        args: values of :class:`RNNLMOptions`; without ``step_weight`` the model is one
            of ESPnet1.
    """

    Config = RNNLMOptions
    recurrent = True

    def __init__(self, n_vocab: int, args: Namespace) -> None:
        super().__init__()
        options = read_config(RNNLMOptions, args)
        self.share = options.step_weight != "one"
        self.predictor = RNNLM(n_vocab, options)

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`LMInterface`."""
        return mean_over_sentences(self.predictor(x), x, t, self.share)

    def scorer(self) -> LMScorer:
        """See :class:`LMInterface`."""
        return LMScorer(self.predictor)
