"""When an epoch is the best, and when to stop."""

from __future__ import annotations

import logging

import pytest

from espnet.train.watch import Best, EarlyStopping

ACC, LOSS = "validation/main/acc", "validation/main/loss"


def test_best() -> None:
    best = Best(ACC, higher=True)
    values = [0.5, 0.4, 0.5, 0.6, float("nan")]
    improved = [best.update({ACC: v}, epoch) for epoch, v in enumerate(values, 1)]
    assert improved == [True, False, False, True, False]
    assert (best.value, best.epoch) == (0.6, 4)
    assert best.is_worse({ACC: 0.59}) and not best.is_worse({ACC: 0.6})
    assert not best.is_worse({LOSS: 5.0})
    lowest = Best(LOSS, higher=False)
    assert [lowest.update({LOSS: v}, 1) for v in (2.0, 3.0, 1.0)] == [True, False, True]


@pytest.mark.parametrize(
    ("key", "patience", "values", "stops_after"),
    [
        (ACC, 3, [0.1, 0.5, 0.5, 0.4, 0.3, 0.9], 5),
        (ACC, 1, [0.1, 0.2, 0.2], 3),
        (LOSS, 2, [3.0, 2.0, 2.5, 1.0, 1.5, 1.1], 6),
        (ACC, 0, [0.1] * 9, None),
        (None, 3, [0.1] * 9, None),
    ],
)
def test_early_stopping(
    key: str | None, patience: int, values: list[float], stops_after: int | None
) -> None:
    stopping = EarlyStopping(key, patience)
    stopped = None
    for epoch, value in enumerate(values, 1):
        state = stopping.state()
        stopping = EarlyStopping(key, patience)  # as after an interruption
        stopping.restore(state)
        stopping.update({key or ACC: value}, epoch)
        if stopping.stop and stopped is None:
            stopped = epoch
    assert stopped == stops_after


def test_a_key_that_is_not_reported_never_stops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stopping = EarlyStopping(ACC, 1)
    with caplog.at_level(logging.WARNING):
        for epoch in range(1, 9):
            stopping.update({LOSS: 1.0, "eps": 1e-8}, epoch)
    assert not stopping.stop
    assert [r.getMessage() for r in caplog.records] == [
        f"early-stop-criterion: '{ACC}' is not reported, so training runs all epochs; "
        f"there are: {LOSS}"
    ]
