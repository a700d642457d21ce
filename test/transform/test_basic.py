"""Deltas against regression, and the choice of a channel."""

from __future__ import annotations

import numpy as np
import pytest

from espnet.transform.basic import ChannelSelector, Delta
from espnet.utils.errors import UserError


def slopes(x: np.ndarray, window: int) -> np.ndarray:
    """Least-squares lines through the neighbours of each frame, the ends going on."""
    times = np.arange(-window, window + 1)
    columns = []
    for feature in x.T:
        column = []
        for t in range(len(x)):
            near = [feature[min(max(t + n, 0), len(x) - 1)] for n in times]
            column.append(np.polyfit(times, near, 1)[0])
        columns.append(column)
    return np.array(columns).T


@pytest.mark.parametrize(("window", "order"), [(2, 2), (1, 1), (3, 3), (2, 0)])
def test_deltas_are_regression_slopes(window: int, order: int) -> None:
    x = np.random.default_rng(0).standard_normal((7, 3)).astype("f4")
    parts = [x]
    for _ in range(order):
        parts.append(slopes(parts[-1], window))
    ours = Delta(window, order)(x)
    np.testing.assert_allclose(ours, np.concatenate(parts, axis=1), atol=1e-5)
    assert ours.dtype == np.float32


@pytest.mark.parametrize("frames", [1, 2])
def test_deltas_of_fewer_frames_than_the_window(frames: int) -> None:
    x = np.ones((frames, 2), "f4")
    np.testing.assert_array_equal(Delta()(x)[:, 2:], 0)


def test_channels() -> None:
    x = np.arange(12).reshape(4, 3)
    rng = np.random.default_rng(0)
    step = ChannelSelector(eval_channel=2)
    np.testing.assert_array_equal(step(x, False, rng), x[:, 2])
    chosen = {int(step(x, True, rng)[0]) for _ in range(50)}
    assert chosen == {0, 1, 2}
    spectra = np.arange(24).reshape(2, 4, 3)
    last = ChannelSelector(train_channel=-1)(spectra, True, rng)
    np.testing.assert_array_equal(last, spectra[:, -1])


def test_sound_of_one_channel_is_that_channel() -> None:
    x = np.arange(4)
    assert ChannelSelector()(x, True, np.random.default_rng(0)) is x
    with pytest.raises(UserError, match=r"no channel 1 among 1 \(from 0\)"):
        ChannelSelector(eval_channel=1)(x, False, np.random.default_rng(0))
