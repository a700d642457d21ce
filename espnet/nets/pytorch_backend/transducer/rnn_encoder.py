"""RNN encoders of the Transducer, whose intermediate layers may have losses too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import cast

from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import make_pad_mask, tanh
from espnet.nets.pytorch_backend.rnn.encoders import (
    VGG2L,
    ProjectedRNN,
    vgg_output_size,
)
from espnet.nets.pytorch_backend.rnn.options import ENCODERS
from espnet.nets.pytorch_backend.rnn.recurrent import RNN_TYPES, run_rnn

Outputs = list[tuple[Tensor, Tensor]]


class RNNEncoder(nn.Module):
    """Features to encoder frames.

    Args:
        etype: a key of ``ENCODERS``.
        idim: dimension D of the features.
        elayers, eunits, eprojs: layers, units of each, size E of the output.
        subsample: frame steps after each layer (``elayers`` numbers).
        dropout_rate: of each layer's output but the last's.
        intermediate: layers, counted from 0, whose output is given too.
    """

    def __init__(
        self,
        etype: str,
        idim: int,
        elayers: int,
        eunits: int,
        eprojs: int,
        subsample: Sequence[int],
        dropout_rate: float = 0.0,
        intermediate: Collection[int] = (),
    ) -> None:
        super().__init__()
        kind = ENCODERS[etype]
        front = [VGG2L()] if kind.vgg else []
        size = vgg_output_size(idim) if kind.vgg else idim
        shape = (kind.cell, kind.bidirectional, size, elayers, eunits, eprojs)
        rnn: nn.Module
        if kind.projected:
            rnn = ProjectedRNN(*shape, subsample, dropout_rate)
        else:
            rnn = SummedRNN(*shape, dropout_rate)
        self.enc = nn.ModuleList([*front, rnn])
        self.intermediate = frozenset(intermediate)
        self.last = elayers - 1

    def forward(self, xs: Tensor, lengths: Tensor) -> Outputs:
        """The outputs of intermediate layers and of the last one.

        Args:
            xs: (B, T, D).
            lengths: (B,) on the CPU.

        Returns:
            Pairs (B, T', E), zeros behind each length, and (B,).
        """
        *front, last = self.enc
        for part in front:
            xs, lengths = part(xs, lengths)
        rnn = cast(ProjectedRNN | SummedRNN, last)
        found = []
        for number, (hs, hlens) in enumerate(rnn.outputs(xs, lengths)):
            if number == self.last or number in self.intermediate:
                padding = make_pad_mask(hlens, hs.shape[1]).to(hs.device)
                found.append((hs.masked_fill(padding[:, :, None], 0.0), hlens))
        return found


class SummedRNN(nn.Module):
    """RNN layers whose two directions are added, and a linear one with tanh behind.

    The names ``birnn0`` or ``rnn0`` are those of ESPnet1's state dicts.
    """

    def __init__(
        self,
        cell: str,
        bidirectional: bool,
        idim: int,
        elayers: int,
        eunits: int,
        eprojs: int,
        dropout_rate: float,
    ) -> None:
        super().__init__()
        self.prefix = "birnn" if bidirectional else "rnn"
        self.bidirectional = bidirectional
        self.elayers = elayers
        for i in range(elayers):
            rnn = RNN_TYPES[cell](
                eunits if i else idim,
                eunits,
                batch_first=True,
                bidirectional=bidirectional,
            )
            setattr(self, f"{self.prefix}{i}", rnn)
        self.dropout = nn.Dropout(dropout_rate)
        self.l_last = Linear(eunits, eprojs)

    def outputs(self, xs: Tensor, lengths: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """What the last layer makes of each layer's output: (B, T, E), (B,)."""
        for i in range(self.elayers):
            xs = run_rnn(getattr(self, f"{self.prefix}{i}"), xs, lengths)
            if self.bidirectional:
                forward, backward = xs.chunk(2, 2)
                xs = forward + backward
            yield tanh(self.l_last(xs)), lengths
            xs = self.dropout(xs)
