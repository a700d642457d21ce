"""SpecAugment: which frames and bands it touches, given the numbers it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from espnet.transform.spec_augment import FreqMask, SpecAugment, TimeMask, TimeWarp


class Dice:
    """Shows numbers written beforehand, and checks that they may be asked for."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def integers(self, low: int, high: int, size: int | None = None) -> Any:
        shown = [self.numbers.pop(0) for _ in range(size or 1)]
        assert all(low <= number < high for number in shown)
        return np.array(shown) if size else shown[0]


def ramp(frames: int, features: int) -> np.ndarray:
    return np.arange(1, frames * features + 1, dtype="f4").reshape(frames, features)


def cubic(t: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -1/2 (IEEE ASSP 29, 1981)."""
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def resized(x: np.ndarray, frames: int) -> np.ndarray:
    """Bicubic interpolation over time; the kernel widens where frames get fewer."""
    scale = len(x) / frames
    centres = (np.arange(frames)[:, None] + 0.5) * scale - 0.5
    weights = cubic((np.arange(len(x))[None] - centres) / max(scale, 1.0))
    return (weights / weights.sum(axis=1, keepdims=True)) @ x


@pytest.mark.parametrize(("centre", "target"), [(20, 25), (20, 16), (33, 33)])
def test_time_warp_resizes_both_parts(centre: int, target: int) -> None:
    x = np.random.default_rng(0).standard_normal((50, 4)).astype("f4")
    warped = TimeWarp(max_time_warp=5)(x, True, Dice(centre, target - 1))
    parts = [resized(x[:centre], target), resized(x[centre:], 50 - target)]
    np.testing.assert_allclose(warped, np.concatenate(parts), atol=1e-5)
    assert warped.dtype == x.dtype


@pytest.mark.parametrize("mode", ["PIL", "sparse_image_warp"])
def test_time_warp_moves_the_centre_and_keeps_the_ends(mode: str) -> None:
    x = np.arange(100.0, dtype="f4")[:, None] * np.ones((1, 3), "f4")
    warped = TimeWarp(max_time_warp=20, mode=mode)(x, True, Dice(50, 59))
    assert warped.shape == x.shape
    assert warped[60, 0] == pytest.approx(50, abs=0.6)
    assert warped[[0, -1], 0] == pytest.approx([0, 99], abs=0.6)
    np.testing.assert_array_equal(warped[:, 0], warped[:, 2])


def test_a_smooth_warp_of_zero_frames_changes_nothing() -> None:
    x = ramp(30, 2)
    warped = TimeWarp(max_time_warp=5, mode="sparse_image_warp")(x, True, Dice(12, 11))
    np.testing.assert_allclose(warped, x, rtol=1e-5)


@pytest.mark.parametrize("frames", [0, 1, 10])
def test_time_warp_leaves_short_arrays(frames: int) -> None:
    x = ramp(frames, 3)
    assert TimeWarp(max_time_warp=5)(x, True, Dice()) is x


def test_frequency_mask_fills_the_band_drawn() -> None:
    x = ramp(4, 10)
    dice = Dice(3, 2, 6, 0, 5, 4, 4, 1)  # second: nothing reserved, so no band
    masked = FreqMask(F=6, n_mask=3)(x, True, dice)
    expected = x.copy()
    expected[:, 6:8] = 0
    expected[:, 1:5] = 0
    np.testing.assert_array_equal(masked, expected)
    assert dice.numbers == []


def test_time_mask_fills_with_the_mean() -> None:
    x = ramp(10, 4)
    masked = TimeMask(T=6, n_mask=1, replace_with_zero=False)(x, True, Dice(3, 5, 2))
    expected = x.copy()
    expected[2:7] = x.mean()
    np.testing.assert_array_equal(masked, expected)


def test_a_mask_ends_with_the_array() -> None:
    masked = TimeMask(T=6, n_mask=1)(ramp(5, 2), True, Dice(1, 5, 3))
    np.testing.assert_array_equal(masked[3:], 0)
    np.testing.assert_array_equal(masked[:3], ramp(5, 2)[:3])


@pytest.mark.parametrize("kind", [FreqMask, TimeMask])
def test_a_mask_wider_than_the_array_is_left_out(kind: type) -> None:
    x = ramp(3, 3)
    np.testing.assert_array_equal(kind(6, 1)(x, True, Dice(3, 1)), x)


STEPS = [TimeWarp(5), FreqMask(5), TimeMask(5), SpecAugment(max_time_warp=5)]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_nothing_happens_outside_training(step: Any) -> None:
    x = ramp(30, 5)
    assert step(x, train=False, rng=Dice()) is x
    np.testing.assert_array_equal(x, ramp(30, 5))


@pytest.mark.parametrize("step", [TimeWarp(5), FreqMask(5), TimeMask(5)])
def test_in_place_writes_into_the_array_if_that_may_be(step: Any) -> None:
    x = ramp(30, 5)
    changed = step(x, train=True, rng=np.random.default_rng(1))
    assert changed is not x
    np.testing.assert_array_equal(x, ramp(30, 5))
    step.inplace = True
    frozen = ramp(30, 5)
    frozen.flags.writeable = False
    again = step(frozen, train=True, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(again, changed)
    assert step(x, train=True, rng=np.random.default_rng(1)) is x
    np.testing.assert_array_equal(x, changed)


def test_spec_augment_is_its_three_steps() -> None:
    x = np.random.default_rng(0).standard_normal((60, 10)).astype("f4")
    rng = np.random.default_rng(5)
    expected = TimeWarp(8)(x, True, rng)
    expected = FreqMask(4, 1, replace_with_zero=False)(expected, True, rng)
    expected = TimeMask(9, 3, replace_with_zero=False)(expected, True, rng)
    step = SpecAugment(
        max_time_warp=8,
        max_freq_width=4,
        n_freq_mask=1,
        max_time_width=9,
        n_time_mask=3,
        replace_with_zero=False,
        inplace=False,
    )
    together = step(x, True, np.random.default_rng(5))
    np.testing.assert_allclose(together, expected, atol=1e-6)
