"""Spectra against sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from espnet.transform.spectrogram import (
    IStft,
    LogMelSpectrogram,
    Spectrogram,
    Stft,
    StftToLogMel,
    make_window,
    mel_weights,
)
from espnet.utils.errors import UserError


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype("f4")


def stft_by_hand(x: np.ndarray, window: np.ndarray, n_shift: int) -> np.ndarray:
    n_fft = len(window)
    frames = 1 + (len(x) - n_fft) // n_shift
    turns = np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft
    dft = np.exp(-2j * np.pi * turns)
    return np.stack([dft @ (window * x[t * n_shift :][:n_fft]) for t in range(frames)])


@pytest.mark.parametrize("n_fft", [16, 15])
def test_stft_is_the_sum_of_its_definition(n_fft: int) -> None:
    x = noise(50)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    expected = stft_by_hand(x, window, 5)
    ours = Stft(n_fft, 5, center=False)(x)
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    mirrored = np.concatenate([x[1:9][::-1], x, x[-9:-1][::-1]])
    if n_fft == 16:
        expected = stft_by_hand(mirrored, window, 5)
        np.testing.assert_allclose(Stft(16, 5)(x), expected, atol=1e-4)


def test_a_short_window_stands_in_the_middle() -> None:
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(10) / 10)
    expected = np.concatenate([np.zeros(3), window, np.zeros(3)])
    np.testing.assert_allclose(make_window("hamming", 10, 16), expected, atol=1e-6)


def test_channels_are_transformed_one_by_one() -> None:
    x = noise(60, 2)
    both = Stft(16, 4)(x)
    assert both.shape == (16, 2, 9)
    np.testing.assert_array_equal(both[:, 1], Stft(16, 4)(x[:, 1]))
    back = IStft(4)(both)
    np.testing.assert_allclose(back, x, atol=1e-5)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("window", "win_length"), [("hann", None), ("hamming", 12)])
def test_inverse(center: bool, window: str, win_length: int | None) -> None:
    x = noise(64)
    spectrum = Stft(16, 4, win_length, window, center)(x)
    y = IStft(4, win_length, window, center)(spectrum)
    inner = slice(8, 56)  # without centring, nothing overlaps the ends
    np.testing.assert_allclose(y[inner], x[inner], atol=1e-5)
    assert y.dtype == np.float32


def test_mel_triangles_peak_at_their_centres_and_have_unit_area() -> None:
    """Frequencies of 10 mel bands from 0 to 8 kHz, from the definition of the scale."""
    mels = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 12)
    edges = [m * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27) for m in mels]
    weights = mel_weights(16000, 4096, 10, 0, 8000)
    bins = np.arange(2049) * 16000 / 4096
    for k in range(10):
        low, middle, high = edges[k : k + 3]
        rows = [
            (f - low) / (middle - low) if f <= middle else (high - f) / (high - middle)
            for f in bins
        ]
        expected = np.maximum(rows, 0) * 2 / (high - low)
        np.testing.assert_allclose(weights[:, k], expected, atol=1e-7)
    np.testing.assert_allclose(weights.sum(axis=0) * 16000 / 4096, 1, rtol=1e-3)


def test_fbank_is_the_logarithm_of_weighted_magnitudes() -> None:
    x = noise(4000, 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    mirrored = np.concatenate([x[1:257, 1][::-1], x[:, 1], x[-257:-1, 1][::-1]])
    magnitude = np.abs(stft_by_hand(mirrored, window, 128))
    expected = np.log10(magnitude @ mel_weights(16000, 512, 20, 80, 7600))
    fbank = LogMelSpectrogram(16000, 20, 512, 128, fmin=80, fmax=7600)(x)
    assert fbank.shape == (32, 2, 20)
    np.testing.assert_allclose(fbank[:, 1], expected, atol=1e-4)
    spectrum = Stft(512, 128)(x)
    from_stft = StftToLogMel(16000, 20, 512, fmin=80, fmax=7600)(spectrum)
    np.testing.assert_array_equal(from_stft, fbank)
    np.testing.assert_allclose(Spectrogram(512, 128)(x)[:, 1], magnitude, atol=1e-3)


def test_silence_is_eps() -> None:
    fbank = LogMelSpectrogram(16000, 4, 512, 128, eps=1e-5)(np.zeros(1000))
    np.testing.assert_allclose(fbank, -5)


def test_shapes_that_cannot_be() -> None:
    with pytest.raises(UserError, match="10 samples are fewer than one window of 16"):
        Stft(16, 4, center=False)(noise(10))
    with pytest.raises(UserError, match="9 bins, but n_fft 512 has 257"):
        StftToLogMel(16000, 20, 512)(Stft(16, 4)(noise(100)))
