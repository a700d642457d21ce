"""Small steps: nothing at all, deltas, and the choice of a channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from espnet.utils.errors import UserError


def identity(x: np.ndarray) -> np.ndarray:
    """Nothing."""
    return x


@dataclass
class Delta:
    """Append slopes over time, and slopes of the slopes, to the last axis.

    (T, ..., D) -> (T, ..., D * (order + 1)). The slope at t is the regression
    sum(n * (x[t + n] - x[t - n])) / (2 * sum(n * n)) over n = 1..window; beyond the
    ends, the first and last frames go on.
    """

    window: int = 2
    order: int = 2

    def __post_init__(self) -> None:
        if self.window < 1 or self.order < 0:
            raise ValueError(
                f"window {self.window} must be 1 or more, order {self.order} 0 or more"
            )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        parts = [x]
        for _ in range(self.order):
            parts.append(self._slope(parts[-1]))
        return np.concatenate(parts, axis=-1)

    def _slope(self, x: np.ndarray) -> np.ndarray:
        w, frames = self.window, len(x)
        padded = np.pad(x, [(w, w)] + [(0, 0)] * (x.ndim - 1), mode="edge")
        slope = np.zeros_like(x)
        for n in range(1, w + 1):
            later, earlier = padded[w + n :][:frames], padded[w - n :][:frames]
            slope += n * (later - earlier)
        return slope / (2 * sum(n * n for n in range(1, w + 1)))


@dataclass
class ChannelSelector:
    """Take one channel of (samples, channels) or (T, channels, F).

    Args:
        train_channel: number, or ``random``, in training.
        eval_channel: the same otherwise.
        axis: of the channels; an array without this axis has one channel.
    """

    train_channel: int | str = "random"
    eval_channel: int | str = 0
    axis: int = 1

    def __post_init__(self) -> None:
        for name in ("train_channel", "eval_channel"):
            value = getattr(self, name)
            if isinstance(value, str) and value != "random":
                raise ValueError(f"{name}: '{value}' is neither a number nor 'random'")

    def __call__(
        self, x: np.ndarray, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        wanted = self.train_channel if train else self.eval_channel
        channels = x.shape[self.axis] if x.ndim > self.axis else 1
        if isinstance(wanted, str):
            wanted = int(rng.integers(channels))
        if not -channels <= wanted < channels:
            raise UserError(
                f"channel_selector: no channel {wanted} among {channels} (from 0)"
            )
        return x if x.ndim <= self.axis else np.take(x, wanted, axis=self.axis)
