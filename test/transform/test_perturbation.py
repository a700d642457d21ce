"""Perturbed sound against what each step says that it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from espnet.transform.perturbation import (
    BandpassPerturbation,
    NoiseInjection,
    RIRConvolve,
    SpeedPerturbation,
    VolumePerturbation,
)
from espnet.utils.errors import UserError

RATE = 16000


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def sine(hertz: float, samples: int = 4000) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(samples) / RATE).astype("f4")


def loudest(x: np.ndarray) -> float:
    """The frequency of the greatest magnitude, Hz."""
    return float(np.abs(np.fft.rfft(x * np.hanning(len(x)))).argmax() * RATE / len(x))


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.asarray(x, "f8") ** 2)))


def table(path: Path, **entries: Any) -> str:
    path.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
    return str(path)


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.25])
def test_speed_changes_length_and_pitch(ratio: float) -> None:
    step = SpeedPerturbation(ratio, ratio, keep_length=False)
    y = step(sine(1000), "u", True, rng())
    assert len(y) == pytest.approx(4000 / ratio, abs=1)
    assert loudest(y) == pytest.approx(1000 * ratio, abs=10)
    assert rms(y) == pytest.approx(rms(sine(1000)), rel=0.02)


@pytest.mark.parametrize("ratio", [0.8, 1.25])
@pytest.mark.parametrize("channels", [None, 2])
def test_speed_keeps_the_length_around_the_middle(
    ratio: float, channels: int | None
) -> None:
    x = sine(1000)
    x[1990:2010] = 3  # a click in the middle
    x = x if channels is None else np.stack([x] * channels, axis=1)
    y = SpeedPerturbation(ratio, ratio)(x, "u", True, rng())
    assert y.shape == x.shape
    one = y if channels is None else y[:, 1]
    assert abs(int(np.abs(one).argmax()) - 2000) < 20
    if ratio > 1:
        assert not one[:300].any() and not one[-300:].any()


def test_volume_in_decibels_and_as_a_factor() -> None:
    x = sine(100)
    quieter = VolumePerturbation(-6, -6)(x, "u", True, rng())
    np.testing.assert_allclose(quieter, x * 10**-0.3, rtol=1e-5)
    doubled = VolumePerturbation(2, 2, dbunit=False)(x, "u", True, rng())
    np.testing.assert_allclose(doubled, x * 2, rtol=1e-6)


def test_ratios_are_uniform_between_the_bounds() -> None:
    step, x, generator = VolumePerturbation(1, 3, dbunit=False), np.ones(1), rng()
    drawn = [step(x, "u", True, generator)[0] for _ in range(2000)]
    assert 1 <= min(drawn) < 1.01 and 2.99 < max(drawn) <= 3
    assert np.mean(drawn) == pytest.approx(2, abs=0.05)


def test_ratios_may_stand_in_a_table(tmp_path: Path) -> None:
    path = table(tmp_path / "ratios", a=0.5, b=2)
    x = sine(100)
    volume = VolumePerturbation(utt2ratio=path, dbunit=False)
    np.testing.assert_allclose(volume(x, "b", True, rng()), 2 * x)
    speed = SpeedPerturbation(utt2ratio=path, keep_length=False)
    assert len(speed(x, "a", True, rng())) == 8000
    with pytest.raises(UserError, match="ratios: has no line for utterance 'c'"):
        volume(x, "c", True, rng())


def test_white_noise_has_the_level_asked_for() -> None:
    x = 1000 * sine(200, 20000)
    noise = NoiseInjection(lower=-10, upper=-10)(x, "u", True, rng()) - x
    assert rms(noise) == pytest.approx(rms(x) * 10**-0.5, rel=1e-3)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    halves = spectrum[:5000].sum() / spectrum[5000:].sum()
    assert halves == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("samples", [50, 400])
def test_recorded_noise_is_repeated_or_cut(tmp_path: Path, samples: int) -> None:
    noise = np.random.default_rng(0).standard_normal(samples) * 0.1
    soundfile.write(tmp_path / "n.wav", noise, RATE, subtype="FLOAT")
    path = table(tmp_path / "utt2noise", u=tmp_path / "n.wav")
    x = sine(500, 120)
    added = NoiseInjection(path, lower=0, upper=0)(x, "u", True, rng()) - x
    assert rms(added) == pytest.approx(rms(x), rel=1e-4)
    periods = np.tile(noise, 5)
    shapes = [periods[start:][:120] for start in range(samples)]
    shapes = shapes if samples == 50 else shapes[: samples - 119]
    errors = [np.abs(s / rms(s) - added / rms(added)).max() for s in shapes]
    assert min(errors) < 1e-4


def test_noise_of_silence_is_silence() -> None:
    np.testing.assert_array_equal(
        NoiseInjection()(np.zeros(50, "f4"), "u", True, rng()), 0
    )


def test_bandpass_draws_a_value_for_each_bin() -> None:
    x = np.ones((6, 2, 2000), "f4")
    y = BandpassPerturbation(0.5, 0.5)(x, True, rng())
    kept = y[0, 0]
    np.testing.assert_array_equal(y, np.broadcast_to(kept, x.shape))
    assert set(np.unique(kept)) == {0, 1}
    assert kept.mean() == pytest.approx(0.3085, abs=0.03)  # P(N(0, 1) > 0.5)


def test_bandpass_along_several_axes() -> None:
    y = BandpassPerturbation(axes=[0, -1])(np.ones((50, 2, 40)), True, rng())
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    assert y[:, 0].mean(axis=1).min() > 0 and y[:, 0].mean(axis=0).max() < 1


@pytest.mark.parametrize("samples", [1, 4, 7, 90])
def test_room_response_is_convolved(tmp_path: Path, samples: int) -> None:
    generator = np.random.default_rng(1)
    response = generator.standard_normal((samples, 2)).astype("f4")
    soundfile.write(tmp_path / "two.wav", response, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", response[:, 0], RATE, subtype="FLOAT")
    path = table(tmp_path / "r", two=tmp_path / "two.wav", one=tmp_path / "one.wav")
    x = generator.standard_normal(60).astype("f4")
    step = RIRConvolve(path)
    start = (samples - 1) // 2
    expected = [
        [
            sum(
                x[t - k] * response[k, c] for k in range(samples) if 0 <= t - k < len(x)
            )
            for c in range(2)
        ]
        for t in range(start, start + 60)
    ]
    y = step(x, "two", True)
    np.testing.assert_allclose(y, np.array(expected), atol=1e-4)
    np.testing.assert_allclose(step(x, "one", True), y[:, 0], atol=1e-5)


def test_nothing_happens_outside_training(tmp_path: Path) -> None:
    x = sine(100)
    assert SpeedPerturbation()(x, "u", False, rng()) is x
    assert VolumePerturbation()(x, "u", False, rng()) is x
    assert NoiseInjection()(x, "u", False, rng()) is x
    assert BandpassPerturbation()(x, False, rng()) is x
    assert RIRConvolve(table(tmp_path / "r", u="x.wav"))(x, "u", False) is x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: VolumePerturbation(utt2ratio=p), "t:1: 'x.wav' is not a number"),
        (lambda p: NoiseInjection(p)(np.ones(9), "u", True, rng()), "as sound"),
        (lambda p: RIRConvolve(p)(np.ones((9, 2)), "u", True), "has 2 channels, must"),
        (lambda p: NoiseInjection(p, filetype="sound.hdf5"), "pip install h5py"),
        (
            lambda p: BandpassPerturbation(axes=[3])(np.ones((2, 2)), True, rng()),
            r"3 is not an axis of an array of shape \(2, 2\)",
        ),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, message: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=message):
        make(table(tmp_path / "t", u="x.wav"))


def test_noise_in_an_hdf5_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 60)
    soundfile.write(tmp_path / "n.flac", noise, RATE)
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file["u"] = np.void((tmp_path / "n.flac").read_bytes())
    path = str(tmp_path / "n.h5")
    step = NoiseInjection(path, lower=0, upper=0, filetype="sound.hdf5")
    x = sine(300, 60)
    added = step(x, "u", True, rng()) - x
    np.testing.assert_allclose(added / rms(added), noise / rms(noise), atol=1e-3)
