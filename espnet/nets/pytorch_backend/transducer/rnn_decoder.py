"""The recurrent prediction network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.rnn.recurrent import RNN_TYPES
from espnet.nets.pytorch_backend.transducer.prediction import PredictionNetwork, Prefix

CELL_STATES = {"lstm": 2, "gru": 1}  # vectors that a cell keeps


class RNNDecoder(nn.Module, PredictionNetwork):
    """Label histories to vectors.

    Args:
        odim: symbols V.
        embed_dim: size of embeddings.
        dtype: ``lstm`` or ``gru``.
        dlayers, dunits: layers, and units D of each.
        dropout_rate: of each layer's output.
        embed_dropout_rate: of embeddings.
        blank: id of blank, which begins and pads label sequences.
    """

    def __init__(
        self,
        odim: int,
        embed_dim: int,
        dtype: str,
        dlayers: int,
        dunits: int,
        dropout_rate: float = 0.0,
        embed_dropout_rate: float = 0.0,
        blank: int = 0,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(odim, embed_dim, padding_idx=blank)
        self.dropout_embed = nn.Dropout(embed_dropout_rate)
        self.decoder = nn.ModuleList(
            RNN_TYPES[dtype](dunits if layer else embed_dim, dunits, batch_first=True)
            for layer in range(dlayers)
        )
        self.dropout = nn.Dropout(dropout_rate)
        self.kept = CELL_STATES[dtype]

    @torch.no_grad()
    def initialise(self) -> None:
        """Embeddings N(0, 1), and forget gates that begin open.

        ESPnet1 set that quarter of both biases to 1, of a GRU's too.
        """
        nn.init.normal_(self.embed.weight)
        for rnn in self._layers:
            for bias in rnn.all_weights[0][2:]:
                bias[len(bias) // 4 : len(bias) // 2] = 1.0

    @property
    def _layers(self) -> Sequence[nn.LSTM | nn.GRU]:
        return cast(Sequence[nn.LSTM | nn.GRU], self.decoder)

    def forward(self, ys_in: Tensor, ylens: Tensor) -> Tensor:
        """Labels behind a blank (B, U), padded with blank -> (B, U, D).

        ``ylens``, labels with their blank (B,), makes no difference here.
        """
        xs = self.dropout_embed(self.embed(ys_in))
        for rnn in self._layers:
            xs = self.dropout(rnn(xs)[0])
        return xs

    def initial(self) -> Tensor:
        """See :class:`PredictionNetwork`; zeros (layers * kept vectors, D)."""
        size = self._layers[-1].hidden_size
        return self.embed.weight.new_zeros(len(self.decoder) * self.kept, size)

    def step(
        self,
        prefixes: Sequence[Prefix],
        states: Sequence[Tensor],
        widths: Sequence[int] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """See :class:`PredictionNetwork`."""
        tokens = [prefix[-1] for prefix in prefixes]
        xs = self.embed(torch.tensor(tokens, device=self.embed.weight.device))
        before = torch.stack(list(states), 1)  # (layers * kept, N, D)
        after: list[Tensor] = []
        for layer, rnn in enumerate(self._layers):
            state = before[layer * self.kept : (layer + 1) * self.kept]
            weights = rnn.all_weights[0]  # of input and state, then their biases
            if self.kept == 2:
                after += torch.lstm_cell(xs, (state[0], state[1]), *weights)
            else:
                after.append(torch.gru_cell(xs, state[0], *weights))
            xs = after[-self.kept]
        return xs, list(torch.stack(after, 1).unbind(0))
