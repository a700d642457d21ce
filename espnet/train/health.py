"""How a training is doing, in one plain line per epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from espnet.train.report import TRAIN, VALID, Entry

Item = TypeVar("Item")

DATA_BOUND = 0.2  # share of the time that waits for data
COMPUTE_BOUND = 0.05
DIAGONAL = 0.9  # correlation of labels with the frames that they look at
LEAST_LABELS = 4  # fewer say nothing of a direction
LEAST_SPREAD = 0.1  # of the frames: a look that stays in one place has no direction
OVERFIT_AFTER = 3  # epochs of falling training and rising validation loss


class Stopwatch:
    """Keeps apart how long a loop waits for its items and how long it works on them.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.epoch = Lap()
        self._row = Lap()
        self._begun: float | None = None  # when work went on, while it does

    def watch(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items of an epoch, each wait and each piece of work timed."""
        self.epoch = Lap()
        before = self._clock()
        for item in items:
            self._begun = self._clock()
            self._add(Lap(1, waited=self._begun - before))
            yield item
            self._count_work()
            self._begun, before = None, self._clock()

    def _count_work(self) -> None:
        if self._begun is not None:
            begun, self._begun = self._begun, self._clock()
            self._add(Lap(worked=self._begun - begun))

    def _add(self, lap: Lap) -> None:
        for total in (self.epoch, self._row):
            total.items += lap.items
            total.waited += lap.waited
            total.worked += lap.worked

    def row(self) -> Entry:
        """Mean seconds of both per item, since the last call; empty without items."""
        self._count_work()
        lap, self._row = self._row, Lap()
        if not lap.items:
            return {}
        return {
            "data_time": lap.waited / lap.items,
            "step_time": lap.worked / lap.items,
        }


@dataclass
class Lap:
    """Sums of seconds over items."""

    items: int = 0
    waited: float = 0.0
    worked: float = 0.0

    def __str__(self) -> str:
        """Whether data or computing is what takes the time."""
        total = self.waited + self.worked
        share = self.waited / total if total > 0 else 0.0
        each = _milliseconds(total / max(self.items, 1))
        if share > DATA_BOUND:
            kind, advice = "data-bound", ", raise --n-iter-processes"
        else:
            kind, advice = "compute-bound", ""
            if share >= COMPUTE_BOUND:
                kind = "mostly compute-bound"
        return f"{kind}: {share:.1%} of {each} per minibatch waits for data{advice}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def health(history: Sequence[Entry], lap: Lap, notes: Iterable[str] = ()) -> str:
    """``epoch 3: loss falls (45.2 -> 40.1); ...``.

    Args:
        history: an entry for each epoch so far.
        lap: times of the last one.
        notes: what else is to be said of it.
    """
    parts = [*_losses(history), str(lap), *notes]
    return f"epoch {history[-1]['epoch']}: {'; '.join(parts)}"


def _losses(history: Sequence[Entry]) -> Iterator[str]:
    """What the losses do."""
    train = [e.get(TRAIN + "loss", math.nan) for e in history]
    valid = [e.get(VALID + "loss", math.nan) for e in history]
    if len(history) == 1:
        yield f"loss {train[0]:.4g}"
        return
    does = "falls" if train[-1] < train[-2] else "does not fall"
    yield f"loss {does} ({train[-2]:.4g} -> {train[-1]:.4g})"
    if all(map(math.isnan, valid)):
        return
    best = int(np.nanargmin(valid))
    since = len(valid) - 1 - best
    if since == 0:
        yield f"validation loss {valid[-1]:.4g} is the best so far"
        return
    text = (
        f"validation loss {valid[-1]:.4g} is above the {valid[best]:.4g} of epoch "
        f"{history[best]['epoch']}"
    )
    if since >= OVERFIT_AFTER and train[-1] < train[best]:
        text += ", the model overfits"
    yield text


def diagonality(weights: np.ndarray) -> float | None:
    """How much an attention moves on from label to label, -1 to 1; 1 is a diagonal.

    It is the correlation of the labels' numbers with the mean frames that they look at.

    Args:
        weights: (L, T), rows that sum to 1.

    Returns:
        The correlation; 0 for a look that stays; None where there are too few labels.
    """
    labels, frames = weights.shape
    if labels < LEAST_LABELS or not np.isfinite(weights).all():
        return None
    centres = weights @ np.arange(frames) / np.maximum(weights.sum(axis=1), 1e-10)
    if np.ptp(centres) < LEAST_SPREAD * frames:
        return 0.0
    return float(np.corrcoef(np.arange(labels), centres)[0, 1])


def describe_attention(scores: Sequence[float]) -> str:
    """The words for the mean diagonality of some utterances."""
    mean = float(np.mean(scores))
    if mean >= DIAGONAL:
        return "attention is diagonal"
    return f"attention is not diagonal (yet): {mean:.2f} of 1"
