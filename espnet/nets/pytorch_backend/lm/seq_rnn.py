"""The recurrent language model ``seq_rnn``, made of one recurrent module."""

from __future__ import annotations

from argparse import Namespace

from torch import Tensor, nn

from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.lm.losses import mean_over_tokens
from espnet.nets.pytorch_backend.lm.options import SeqRNNOptions
from espnet.nets.scorers.lm import LMScorer
from espnet.utils.options import read_config

FIRST_RANGE = 0.1  # weights start in [-0.1, 0.1]
RECURRENT: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class SequentialRNNLM(nn.Module, LMInterface):
    """Embedding, recurrent layers, output layer.

    Args:
        n_vocab: tokens V.
        args: values of :class:`SeqRNNOptions`. Without ``recurrence`` the model is one
            of ESPnet1, where ``forward`` carries the state from sentence to sentence.
    """

    Config = SeqRNNOptions
    recurrent = True

    def __init__(self, n_vocab: int, args: Namespace) -> None:
        super().__init__()
        options = read_config(SeqRNNOptions, args)
        units = options.unit
        self.over_time = options.recurrence == "time"
        self.drop = nn.Dropout(options.dropout_rate)
        self.encoder = nn.Embedding(n_vocab, units)
        between = options.dropout_rate if options.layer > 1 else 0.0
        kind = RECURRENT[options.type or "lstm"]
        self.rnn = kind(units, units, options.layer, dropout=between)
        self.decoder = Linear(units, n_vocab)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -FIRST_RANGE, FIRST_RANGE)

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`LMInterface`."""
        hs = self.drop(self.encoder(x))
        if self.over_time:
            hs = self.rnn(hs.transpose(0, 1))[0].transpose(0, 1)
        else:
            hs = self.rnn(hs)[0]
        return mean_over_tokens(self.decoder(self.drop(hs)), x, t)

    def scorer(self) -> LMScorer:
        """See :class:`LMInterface`."""
        return LMScorer(self)

    def start(self, rows: int) -> tuple[Tensor, ...]:
        """See :class:`Stepwise`: (N, layers, units) of the output and of the memory."""
        shape = (rows, self.rnn.num_layers, self.rnn.hidden_size)
        count = 2 if self.rnn.mode == "LSTM" else 1
        return tuple(self.encoder.weight.new_zeros(shape) for _ in range(count))

    def step(
        self, tokens: Tensor, memory: tuple[Tensor, ...], position: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See :class:`Stepwise`."""
        before = tuple(part.transpose(0, 1).contiguous() for part in memory)
        h = self.drop(self.encoder(tokens))[None]
        if self.rnn.mode == "LSTM":
            h, after = self.rnn(h, before)
        else:
            h, single = self.rnn(h, before[0])
            after = (single,)
        scores = self.decoder(self.drop(h[0])).log_softmax(-1)
        return scores, tuple(part.transpose(0, 1) for part in after)
