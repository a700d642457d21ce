"""Dereverberation: removes what earlier frames predict, and is what it minimises."""

from __future__ import annotations

import numpy as np
import pytest

from espnet.transform.wpe import WPE
from espnet.utils.errors import UserError


def spectrum(frames: int, channels: int, bins: int) -> np.ndarray:
    """Frames whose power varies, as that of speech."""
    rng = np.random.default_rng(0)
    parts = rng.standard_normal((2, frames, channels, bins))
    return (parts[0] + 1j * parts[1]) * rng.exponential(1, (frames, 1, 1))


def by_hand(x: np.ndarray, taps: int, delay: int, iterations: int) -> np.ndarray:
    """One frequency (T, C): the weighted least squares problem of the paper, solved."""
    frames, channels = x.shape
    past = np.zeros((frames, taps * channels), complex)
    for t in range(frames):
        for k in range(taps):
            if t - delay - k >= 0:
                past[t, k * channels :][:channels] = x[t - delay - k]
    result = x
    for _ in range(iterations):
        weight = 1 / np.sqrt(np.mean(np.abs(result) ** 2, axis=1, keepdims=True))
        filters = np.linalg.lstsq(past * weight, x * weight, rcond=None)[0]
        result = x - past @ filters
    return result


@pytest.mark.parametrize("channels", [1, 2])
def test_each_frequency_is_a_weighted_least_squares_problem(channels: int) -> None:
    x = spectrum(60, channels, 3)
    y = WPE(taps=4, delay=2, iterations=2)(x)
    for f in range(3):
        np.testing.assert_allclose(y[:, :, f], by_hand(x[:, :, f], 4, 2, 2), atol=1e-8)
    if channels == 1:
        single = WPE(taps=4, delay=2, iterations=2)(x[:, 0])
        np.testing.assert_allclose(single, y[:, 0])


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_an_echo_is_removed(mode: str) -> None:
    dry = spectrum(400, 1, 4)
    wet = dry.copy()
    for t in range(3, 400):
        wet[t] += 0.7 * wet[t - 3]
    y = WPE(taps=5, delay=3, psd_context=1, statistics_mode=mode)(wet)
    before, after = (np.mean(np.abs(z - dry) ** 2) for z in (wet, y))
    assert after < 0.05 * before


def test_few_frames_stay_finite() -> None:
    assert np.isfinite(WPE()(spectrum(2, 2, 3).astype("c8"))).all()


def test_sound_is_refused() -> None:
    with pytest.raises(UserError, match="put stft before it"):
        WPE()(np.ones((4, 2)))
