"""The line that says how a training is doing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from espnet.train.health import (
    Lap,
    Stopwatch,
    describe_attention,
    diagonality,
    health,
)
from espnet.train.report import Entry


class Clock:
    """Moves on only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_waiting_and_working_are_told_apart() -> None:
    clock = Clock()
    watch = Stopwatch(clock)

    def items(count: int) -> Iterator[int]:
        for number in range(count):
            clock.now += 3.0
            yield number

    assert watch.row() == {}
    for number in watch.watch(items(4)):
        clock.now += 1.0
        if number == 2:  # the item that runs counts
            assert watch.row() == {"data_time": 3.0, "step_time": 1.0}
    assert (watch.epoch.items, watch.epoch.waited, watch.epoch.worked) == (4, 12, 4)
    for _ in watch.watch(items(1)):
        clock.now += 7.0
    assert watch.row() == {"data_time": 3.0, "step_time": 4.0}  # 1 and 7
    assert str(watch.epoch) == (
        "data-bound: 30.0% of 10 s per minibatch waits for data, "
        "raise --n-iter-processes"
    )


@pytest.mark.parametrize(
    ("waited", "words"),
    [
        (0.02, "compute-bound: 2.0% of 100 ms per minibatch waits for data"),
        (0.1, "mostly compute-bound: 10.0% of 100 ms per minibatch waits for data"),
        (0.3, "data-bound: 30.0% of 100 ms"),
    ],
)
def test_what_takes_the_time(waited: float, words: str) -> None:
    lap = Lap(items=2, waited=0.2 * waited, worked=0.2 * (1 - waited))
    assert str(lap).startswith(words)


def history(*losses: tuple[float, float]) -> list[Entry]:
    return [
        {"epoch": i, "main/loss": train, "validation/main/loss": valid}
        for i, (train, valid) in enumerate(losses, 1)
    ]


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([(9, 8)], "epoch 1: loss 9; "),
        (
            [(9, 8), (7, 6)],
            "epoch 2: loss falls (9 -> 7); validation loss 6 is the best so far; ",
        ),
        (
            [(9, 8), (9.5, 8.5)],
            "epoch 2: loss does not fall (9 -> 9.5); "
            "validation loss 8.5 is above the 8 of epoch 1; ",
        ),
        (
            [(9, 5), (8, 6), (7, 6), (6, 7)],
            "validation loss 7 is above the 5 of epoch 1, the model overfits; ",
        ),
        ([(9, np.nan), (7, np.nan)], "epoch 2: loss falls (9 -> 7); compute"),
        ([(9, 3), (np.nan, np.nan)], "epoch 2: loss does not fall (9 -> nan); "),
    ],
)
def test_what_the_losses_do(losses: list, words: str) -> None:
    line = health(history(*losses), Stopwatch().epoch, ["2.0% padding"])
    assert words in line
    assert line.endswith("; 2.0% padding")


def test_diagonality() -> None:
    """1 for a diagonal, -1 for one that runs backwards, 0 for what has no direction."""
    frames = np.arange(40)
    diagonal = np.exp(-0.5 * (frames - 5 * np.arange(8)[:, None] - 2) ** 2)
    diagonal /= diagonal.sum(axis=1, keepdims=True)
    assert diagonality(diagonal) == pytest.approx(1.0, abs=1e-4)
    assert diagonality(diagonal[::-1]) == pytest.approx(-1.0, abs=1e-4)
    assert diagonality(np.full((8, 40), 1 / 40)) == 0.0
    mixed = diagonal[np.random.default_rng(0).permutation(8)]
    assert abs(diagonality(mixed) or 1) < 0.9
    assert diagonality(diagonal[:3]) is None
    assert diagonality(np.full((8, 40), np.nan)) is None
    assert describe_attention([0.99, 0.97]) == "attention is diagonal"
    assert (
        describe_attention([0.9, 0.1]) == "attention is not diagonal (yet): 0.50 of 1"
    )
