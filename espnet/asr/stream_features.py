"""Features of audio that arrives piece by piece."""

from __future__ import annotations

import copy
import math

import numpy as np

from espnet.asr.bundle import FrontEnd
from espnet.utils.errors import UserError

TRACK = (100, 10)  # frames before and after a piece in which its pitch settles
DELTA_REACH = 4  # frames on each side that the second delta needs


class OnlineFeatures:
    """The features of one recording.

    Filter banks, MFCC and deltas equal those of the whole recording, with the noise of
    dither. Pitch is tracked in a window around each piece, so it may differ.

    Args:
        front_end: from samples to features.

    Attributes:
        right: frames that must be there after one before it comes.

    Raises:
        UserError: features that need the whole recording.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        options = front_end.extractor.audio
        if options.subtract_mean:
            raise UserError(
                f"{front_end.extractor.config}: --subtract-mean=true needs whole "
                "recordings; such features cannot be computed as audio arrives"
            )
        per_ms = front_end.rate * 0.001
        self.length = int(per_ms * options.frame_length)
        self.shift = int(per_ms * options.frame_shift)
        self.snip, self.dither = options.snip_edges, options.dither
        self.left = self.right = 0
        if not self.snip:  # frames at the edges hold reflected samples
            self.left = self.right = math.ceil(self.length / (2 * self.shift))
        if front_end.do_delta:
            self.left, self.right = self.left + DELTA_REACH, self.right + DELTA_REACH
        pitch = front_end.extractor.pitch
        if pitch is not None:
            self.left += TRACK[0] + pitch.normalization_left_context
            self.right += TRACK[1] + pitch.normalization_right_context
        self.noise = np.random.default_rng(0)  # as it is at the frame ``start``
        self.samples = np.zeros(0, np.float32)
        self.start = 0  # the frame with which the samples begin
        self.done = 0  # frames that were given

    def feed(self, samples: np.ndarray, last: bool = False) -> np.ndarray | None:
        """Take the next samples (N,), give the next frames (T, D), None for none.

        Args:
            samples: at the scale of 16-bit integers.
            last: no more will come.
        """
        self.samples = np.concatenate([self.samples, samples])
        there = self.start + self._frames(len(self.samples), last)
        ready = there if last else there - self.right
        if ready <= self.done:
            return None
        feats = self.front_end(self.samples, copy.deepcopy(self.noise))
        found = feats[self.done - self.start : ready - self.start]
        self.done += len(found)
        forget = max(0, self.done - self.left - self.start)
        if self.dither:
            self.noise.standard_normal((forget, self.length), np.float32)
        self.samples = self.samples[forget * self.shift :]
        self.start += forget
        return found

    def _frames(self, count: int, last: bool) -> int:
        """Frames of so many samples."""
        if self.snip:
            return max(0, (count - self.length) // self.shift + 1)
        return (count + (self.shift // 2 if last else 0)) // self.shift
