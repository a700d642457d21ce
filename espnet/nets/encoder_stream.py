"""Encoders that take an utterance piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor


class EncoderStream(Protocol):
    """One utterance on its way through an encoder; make a new one for the next.

    Attributes:
        factor: input frames per encoder frame; frame k of it begins at ``k * factor``.
        lookahead: input frames that may have to be there, beyond its first, before an
            encoder frame comes.
        exact: the output does not depend on how the utterance is cut.
    """

    factor: int
    lookahead: int
    exact: bool

    def feed(self, xs: Tensor, last: bool = False) -> Tensor:
        """Take the next frames (T, D), give the next encoder frames (T', E).

        Args:
            xs: perhaps no frame at all.
            last: no more will come, so what is held back comes too.
        """


class BlockStream:
    """Any encoder, over blocks of frames with some frames before and after each.

    What a block gives depends on its context only, so that work and memory are bounded;
    it differs from the output for the whole utterance by what lies beyond the context.

    Args:
        encode: features (T, D) -> (B, T', E), lengths (B,), of a list of one.
        factor: input frames per encoder frame.
        block, left, right: frames of a block, before and after it; rounded up to whole
            encoder frames, of which there are at least two before and one after:
            convolutions that subsample reach so far.
    """

    exact = False

    def __init__(
        self,
        encode: Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]],
        factor: int,
        block: int,
        left: int,
        right: int,
    ) -> None:
        self.encode = encode
        self.factor = factor
        self.block, self.left, self.right = (
            max(-(-frames // factor), least) * factor
            for frames, least in ((block, 1), (left, 2), (right, 1))
        )
        self.lookahead = self.block - 1 + self.right
        self.frames: Tensor | None = None  # left context and all that is to come
        self.before = 0  # frames of left context among them

    @torch.no_grad()
    def feed(self, xs: Tensor, last: bool = False) -> Tensor:
        """See :meth:`EncoderStream.feed`."""
        self.frames = xs if self.frames is None else torch.cat([self.frames, xs])
        found = []
        while len(self.frames) >= self.before + self.block + self.right:
            window = self.frames[: self.before + self.block + self.right]
            found.append(self._encode(window)[: self.block // self.factor])
            self._drop(self.block)
        # of an utterance below two encoder frames, some encoders make nothing
        if last and len(self.frames) > max(self.before, 2 * self.factor - 1):
            found.append(self._encode(self.frames))
        if found:
            return torch.cat(found)
        return xs.new_zeros(0, 1)

    def _encode(self, window: Tensor) -> Tensor:
        """What an encoder makes of a window (T, D), less that of its left context."""
        hs, lengths = self.encode([window])
        return hs[0, self.before // self.factor : int(lengths[0])]

    def _drop(self, done: int) -> None:
        assert self.frames is not None
        keep = min(self.left, self.before + done)
        self.frames = self.frames[self.before + done - keep :]
        self.before = keep
