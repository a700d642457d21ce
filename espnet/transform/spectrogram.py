"""Spectra of sound and back: STFT, spectrogram and log-mel energies.

Frames, windows and the mel scale are those of librosa, which ESPnet1 used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from espnet.utils.errors import UserError, one_of

WINDOWS: dict[str, Callable[[int], np.ndarray]] = {
    "hann": np.hanning,
    "hamming": np.hamming,
    "blackman": np.blackman,
    "bartlett": np.bartlett,
    "boxcar": np.ones,
}
PadMode = Literal["reflect", "constant", "edge", "symmetric", "wrap"]
PAD_MODES: dict[str, PadMode] = {name: name for name in get_args(PadMode)}


@dataclass
class Stft:
    """Short-time Fourier transform.

    (samples,) -> (T, F) or (samples, channels) -> (T, channels, F), complex64,
    F = n_fft // 2 + 1.

    Args:
        n_fft: length of the transform, in samples.
        n_shift: samples from frame to frame.
        win_length: length of the window, in the middle of ``n_fft``; default all of it.
        window: one of WINDOWS.
        center: frame t is centred at sample ``t * n_shift``; the ends are padded.
        pad_mode: with what, as in ``numpy.pad``.
    """

    n_fft: int
    n_shift: int
    win_length: int | None = None
    window: str = "hann"
    center: bool = True
    pad_mode: str = "reflect"

    def __post_init__(self) -> None:
        if self.n_fft < 1 or self.n_shift < 1:
            raise ValueError(
                f"n_fft {self.n_fft} and n_shift {self.n_shift} must be 1 or more"
            )
        if self.pad_mode not in PAD_MODES:
            raise ValueError(one_of("pad_mode", self.pad_mode, PAD_MODES))
        make_window(self.window, self.win_length, self.n_fft)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        half = self.n_fft // 2 if self.center else 0
        x = np.asarray(x, dtype=np.float32)
        if half and len(x):
            ends = [(half, half)] + [(0, 0)] * (x.ndim - 1)
            x = np.pad(x, ends, mode=PAD_MODES[self.pad_mode])
        if len(x) < self.n_fft:
            raise UserError(
                f"stft: {len(x)} samples are fewer than one window of {self.n_fft}"
            )
        frames = sliding_window_view(x, self.n_fft, axis=0)[:: self.n_shift]
        window = make_window(self.window, self.win_length, self.n_fft)
        return np.fft.rfft(frames * window, axis=-1).astype(np.complex64)


@dataclass
class IStft:
    """Inverse of :class:`Stft`, by overlap and add (Griffin and Lim, 1984).

    (T, F) -> (samples,) or (T, channels, F) -> (samples, channels), float32; the
    samples after the last whole shift are lost.
    """

    n_shift: int
    win_length: int | None = None
    window: str = "hann"
    center: bool = True

    def __post_init__(self) -> None:
        if self.n_shift < 1:
            raise ValueError(f"n_shift: {self.n_shift} must be 1 or more")
        if self.window not in WINDOWS:
            raise ValueError(one_of("window", self.window, WINDOWS))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        n_fft = 2 * (x.shape[-1] - 1)
        window = make_window(self.window, self.win_length, n_fft)
        frames = np.fft.irfft(x, n=n_fft, axis=-1) * window
        frames = np.moveaxis(frames, -1, 1)  # (T, n_fft[, channels])
        length = n_fft + self.n_shift * (len(x) - 1)
        total = np.zeros((length, *frames.shape[2:]))
        weight = np.zeros(length)
        for t, frame in enumerate(frames):
            place = slice(t * self.n_shift, t * self.n_shift + n_fft)
            total[place] += frame
            weight[place] += window**2
        weight[weight <= np.finfo(np.float32).tiny] = 1.0
        total /= weight.reshape(-1, *[1] * (total.ndim - 1))
        trim = n_fft // 2 if self.center else 0
        return total[trim : length - trim].astype(np.float32)


@dataclass
class Spectrogram:
    """Magnitudes of :class:`Stft`: (samples[, channels]) -> (T, [channels,] F)."""

    n_fft: int
    n_shift: int
    win_length: int | None = None
    window: str = "hann"
    stft: Stft = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.stft = Stft(self.n_fft, self.n_shift, self.win_length, self.window)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.abs(self.stft(x))


@dataclass
class StftToLogMel:
    """log10 of mel-weighted magnitudes: (T, [channels,] F) -> (T, [channels,] n_mels).

    Args:
        fs: sampling rate, Hz.
        n_mels: number of bands.
        n_fft: that of the STFT.
        fmin: lower end of the lowest band, Hz; default 0.
        fmax: upper end of the highest band, Hz; default half the sampling rate.
        eps: the smallest magnitude.
    """

    fs: int
    n_mels: int
    n_fft: int
    fmin: float | None = None
    fmax: float | None = None
    eps: float = 1e-10
    weights: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        low = 0.0 if self.fmin is None else self.fmin
        high = self.fs / 2 if self.fmax is None else self.fmax
        self.weights = mel_weights(self.fs, self.n_fft, self.n_mels, low, high)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if x.shape[-1] != len(self.weights):
            raise UserError(
                f"stft2fbank: {x.shape[-1]} bins, but n_fft {self.n_fft} has "
                f"{len(self.weights)}"
            )
        return np.log10(np.maximum(self.eps, np.abs(x) @ self.weights))


@dataclass
class LogMelSpectrogram:
    """log10 mel energies of sound: (samples[, channels]) -> (T, [channels,] n_mels).

    The parameters are those of :class:`StftToLogMel` and :class:`Stft`.
    """

    fs: int
    n_mels: int
    n_fft: int
    n_shift: int
    win_length: int | None = None
    window: str = "hann"
    fmin: float | None = None
    fmax: float | None = None
    eps: float = 1e-10
    stft: Stft = field(init=False, repr=False)
    mel: StftToLogMel = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.stft = Stft(self.n_fft, self.n_shift, self.win_length, self.window)
        self.mel = StftToLogMel(
            self.fs, self.n_mels, self.n_fft, self.fmin, self.fmax, self.eps
        )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.mel(self.stft(x))


def make_window(name: str, length: int | None, n_fft: int) -> np.ndarray:
    """A periodic window (n_fft,), float32; zeros around it if it is shorter.

    Raises:
        UserError: unknown name, or ``length`` not within 1..n_fft.
    """
    if name not in WINDOWS:
        raise UserError(one_of("window", name, WINDOWS))
    length = n_fft if length is None else length
    if not 1 <= length <= n_fft:
        raise UserError(f"win_length: {length} must lie in 1 to n_fft = {n_fft}")
    left = (n_fft - length) // 2
    window = WINDOWS[name](length + 1)[:-1]
    return np.pad(window, (left, n_fft - length - left)).astype(np.float32)


def mel_weights(
    fs: float, n_fft: int, n_mels: int, fmin: float, fmax: float
) -> np.ndarray:
    """Triangles of unit area (n_fft // 2 + 1, n_mels) on Slaney's mel scale, float32.

    The scale (Auditory Toolbox, 1998) is linear below 1 kHz, 66.7 Hz a mel, and
    logarithmic above, 27 mels for a factor of 6.4.

    Raises:
        ValueError: the band is empty or reaches beyond half the sampling rate.
    """
    if not 0 <= fmin < fmax <= fs / 2 or n_mels < 1:
        raise ValueError(
            f"fmin {fmin:g} and fmax {fmax:g} must satisfy 0 <= fmin < fmax <= fs / 2 "
            f"= {fs / 2:g}; n_mels {n_mels} must be 1 or more"
        )
    edges = _hertz(np.linspace(_mels(fmin), _mels(fmax), n_mels + 2))
    bins = np.fft.rfftfreq(n_fft, 1 / fs)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


_LINEAR = 200 / 3  # Hz a mel below 1 kHz
_KNEE = 1000 / _LINEAR  # mels at 1 kHz
_STEP = np.log(6.4) / 27


def _mels(hertz: float) -> float:
    if hertz < 1000:
        return hertz / _LINEAR
    return float(_KNEE + np.log(hertz / 1000) / _STEP)


def _hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < _KNEE, mels * _LINEAR, 1000 * np.exp((mels - _KNEE) * _STEP))
