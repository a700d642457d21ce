"""RNN encoders that take an utterance piece by piece and carry their state."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.rnn.encoders import (
    VGG2L,
    Encoder,
    ProjectedRNN,
    StackedRNN,
    vgg_output_size,
)


class RNNStream:
    """One utterance on its way through an :class:`Encoder`.

    Without backward layers the output is that of the whole utterance, however it is
    cut. A backward layer starts anew at the end of each piece.

    Args:
        encoder: in evaluation mode.
        subsample_input: only every such frame of the input is used.
        factor: input frames per encoder frame in all.
    """

    def __init__(self, encoder: Encoder, subsample_input: int, factor: int) -> None:
        self.factor = factor
        self.step = subsample_input
        self.seen = 0
        self.parts: list[_Part] = []
        self.lookahead = 0
        self.exact = True
        for module in encoder.enc:
            part = _STREAMS[type(module)](module)
            self.parts.append(part)
            self.lookahead += part.lookahead * subsample_input
            self.exact = self.exact and not part.backward

    @torch.no_grad()
    def feed(self, xs: Tensor, last: bool = False) -> Tensor:
        """See :meth:`espnet.nets.encoder_stream.EncoderStream.feed`."""
        first = -self.seen % self.step
        self.seen += len(xs)
        hs = xs[None, first :: self.step]
        for part in self.parts:
            hs = part.feed(hs, last)
        return hs[0]


class _Part(Protocol):
    lookahead: int  # frames that are held back
    backward: bool  # has layers that read backwards

    def feed(self, xs: Tensor, last: bool) -> Tensor:
        """(1, T, D) -> (1, T', E)"""


class _Layers:
    """Recurrent layers and their state."""

    def __init__(self, rnn: nn.LSTM | nn.GRU) -> None:
        self.rnn = rnn
        self.state: Tensor | tuple[Tensor, Tensor] | None = None

    def feed(self, xs: Tensor) -> Tensor:
        if xs.shape[1] == 0:
            size = self.rnn.hidden_size * (1 + self.rnn.bidirectional)
            return xs.new_zeros(1, 0, size)
        ys, self.state = self.rnn(xs, self.state)
        if self.rnn.bidirectional:  # the next piece has an end of its own
            states = (self.state,) if isinstance(self.state, Tensor) else self.state
            for state in states:
                state[1::2] = 0.0
        return ys


class _Subsampling:
    """Every step-th frame, as many as :class:`ProjectedRNN` keeps of a whole."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.seen = self.given = 0
        self.held: Tensor | None = None

    def feed(self, xs: Tensor, last: bool) -> Tensor:
        if self.step == 1:
            return xs
        kept = xs[:, -self.seen % self.step :: self.step]
        if self.held is not None:
            kept = torch.cat([self.held, kept], 1)
        self.seen += xs.shape[1]
        total = (self.seen + 1) // self.step
        if last:
            total = max(total, 1)
        ready = total - self.given
        self.held = kept[:, ready:]
        self.given = total
        return kept[:, :ready]


class _ProjectedStream:
    def __init__(self, part: ProjectedRNN) -> None:
        self.lookahead, frames = 0, 1
        for step in part.subsample:
            self.lookahead += frames * max(0, step - 2)
            frames *= step
        self.layers = [
            (
                _Layers(getattr(part, f"{part.prefix}{i}")),
                _Subsampling(step),
                getattr(part, f"bt{i}"),
            )
            for i, step in enumerate(part.subsample)
        ]
        self.backward = self.layers[0][0].rnn.bidirectional

    def feed(self, xs: Tensor, last: bool) -> Tensor:
        for i, (rnn, subsampling, projection) in enumerate(self.layers):
            if i:
                xs = torch.tanh(xs)
            xs = projection(subsampling.feed(rnn.feed(xs), last))
        return xs


class _StackedStream:
    def __init__(self, part: StackedRNN) -> None:
        self.rnn, self.projection = _Layers(part.nbrnn), part.l_last
        self.lookahead, self.backward = 0, part.nbrnn.bidirectional

    def feed(self, xs: Tensor, last: bool) -> Tensor:
        return torch.tanh(self.projection(self.rnn.feed(xs)))


# An output frame of VGG2L depends on 6 input frames before its four and on 6 behind
# them; context is taken in whole output frames.
VGG_FACTOR, VGG_CONTEXT = 4, 8


class _VGGStream:
    """The convolutions over each piece with enough context to be exact."""

    def __init__(self, part: VGG2L) -> None:
        self.part = part
        self.lookahead, self.backward = VGG_CONTEXT + VGG_FACTOR - 1, False
        self.frames: Tensor | None = None  # left context and all that is to come
        self.before = 0  # frames of left context among them

    def feed(self, xs: Tensor, last: bool) -> Tensor:
        frames = xs if self.frames is None else torch.cat([self.frames, xs], 1)
        self.frames = frames
        there = frames.shape[1] - self.before
        done = there if last else (there - VGG_CONTEXT) // VGG_FACTOR * VGG_FACTOR
        if done <= 0:
            return xs.new_zeros(1, 0, vgg_output_size(xs.shape[2]))
        used = self.before + done + (0 if last else VGG_CONTEXT)
        hs, _ = self.part(frames[:, :used], torch.tensor([used]))
        first = self.before // VGG_FACTOR
        keep = min(VGG_CONTEXT, self.before + done)
        self.frames = frames[:, self.before + done - keep :]
        self.before = keep
        return hs[:, first : first + -(-done // VGG_FACTOR)]


_STREAMS: dict[type, type] = {
    ProjectedRNN: _ProjectedStream,
    StackedRNN: _StackedStream,
    VGG2L: _VGGStream,
}
