"""Sound made different in training: speed, loudness, noise, rooms, missing bands.

Sound is (samples,) or (samples, channels). Ratios are drawn uniformly from
``lower`` to ``upper``, or stand in a table ``utt2ratio`` (lines ``utterance ratio``).
``seed`` is a number that makes the draws of a step others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from espnet.transform.sources import look_up, read_ratios, sounds
from espnet.utils.errors import UserError, one_of

# ESPnet1's names (librosa's) -> quality of soxr
RES_TYPES = {
    "kaiser_best": "VHQ",
    "kaiser_fast": "MQ",
    "soxr_vhq": "VHQ",
    "soxr_hq": "HQ",
    "soxr_mq": "MQ",
    "soxr_lq": "LQ",
    "soxr_qq": "QQ",
}


class _Ratio:
    """Draws a step's ratio, or looks it up."""

    def __init__(self, lower: float, upper: float, utt2ratio: str | None) -> None:
        if lower > upper:
            raise ValueError(f"lower {lower:g} must not be above upper {upper:g}")
        self.lower, self.upper = lower, upper
        self.path = utt2ratio
        self.table = read_ratios(utt2ratio) if utt2ratio else {}

    def __call__(self, uttid: str | None, rng: np.random.Generator) -> float:
        if self.path:
            return float(look_up(self.table, uttid, self.path))
        return float(rng.uniform(self.lower, self.upper))


@dataclass
class SpeedPerturbation:
    """Play faster by a ratio: samples become samples / ratio; pitch goes along.

    Args:
        lower: smallest ratio.
        upper: largest ratio.
        utt2ratio: table of ratios instead.
        keep_length: cut both ends, or pad them with zeros, to the old length.
        res_type: kind of resampling, one of RES_TYPES.
        seed: see the module.
    """

    lower: float = 0.9
    upper: float = 1.1
    utt2ratio: str | None = None
    keep_length: bool = True
    res_type: str = "kaiser_best"
    seed: int | None = None
    ratio: _Ratio = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.res_type not in RES_TYPES:
            raise ValueError(one_of("res_type", self.res_type, RES_TYPES))
        if self.lower <= 0:
            raise ValueError(f"lower: {self.lower:g} must be above 0")
        self.ratio = _Ratio(self.lower, self.upper, self.utt2ratio)
        wrong = [utt for utt, ratio in self.ratio.table.items() if ratio <= 0]
        if wrong:
            raise ValueError(f"{self.utt2ratio}: ratio of '{wrong[0]}' must be above 0")

    def __call__(
        self, x: np.ndarray, uttid: str | None, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        if not train:
            return x
        import soxr

        ratio = self.ratio(uttid, rng)
        quality = RES_TYPES[self.res_type]
        y = soxr.resample(x.astype(np.float32), ratio, 1.0, quality=quality)
        if not self.keep_length:
            return y
        extra = len(y) - len(x)
        if extra > 0:
            return y[extra // 2 :][: len(x)]
        before = -extra // 2
        return np.pad(y, [(before, -extra - before)] + [(0, 0)] * (x.ndim - 1))


@dataclass
class VolumePerturbation:
    """Multiply by a ratio.

    Args:
        lower: smallest ratio.
        upper: largest ratio.
        utt2ratio: table of ratios instead.
        dbunit: ratios are in decibels: 10 ** (ratio / 20).
        seed: see the module.
    """

    lower: float = -1.6
    upper: float = 1.6
    utt2ratio: str | None = None
    dbunit: bool = True
    seed: int | None = None
    ratio: _Ratio = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.ratio = _Ratio(self.lower, self.upper, self.utt2ratio)

    def __call__(
        self, x: np.ndarray, uttid: str | None, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        if not train:
            return x
        ratio = self.ratio(uttid, rng)
        return x.astype(np.float32) * np.float32(_amplitude(ratio, self.dbunit))


@dataclass
class NoiseInjection:
    """Add noise, whose level is a ratio of the level (root of the mean square) of x.

    Args:
        utt2noise: sounds of noise by utterance; white Gaussian noise without it. A
            longer noise is cut at random, a shorter one repeated.
        lower: smallest ratio.
        upper: largest ratio.
        utt2ratio: table of ratios instead.
        filetype: ``list`` (lines ``utterance file``) or ``sound.hdf5``.
        dbunit: ratios are in decibels: 10 ** (ratio / 20).
        seed: see the module.
    """

    utt2noise: str | None = None
    lower: float = -20
    upper: float = -5
    utt2ratio: str | None = None
    filetype: str = "list"
    dbunit: bool = True
    seed: int | None = None
    ratio: _Ratio = field(init=False, repr=False)
    noise: Callable[[str | None], np.ndarray] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.ratio = _Ratio(self.lower, self.upper, self.utt2ratio)
        self.noise = sounds(self.utt2noise, self.filetype) if self.utt2noise else None

    def __call__(
        self, x: np.ndarray, uttid: str | None, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        if not train or len(x) == 0:
            return x
        x = x.astype(np.float32)
        level = _amplitude(self.ratio(uttid, rng), self.dbunit) * _rms(x)
        if self.noise is None:
            noise = rng.standard_normal(x.shape)
        else:
            noise = self._cut(self.noise(uttid), x, uttid, rng)
        return (x + noise * (level / max(_rms(noise), 1e-20))).astype(np.float32)

    def _cut(
        self,
        noise: np.ndarray,
        x: np.ndarray,
        uttid: str | None,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """As many samples as x has, from a random place on; a short noise repeats."""
        if len(noise) == 0:
            raise UserError(f"{self.utt2noise}: noise of '{uttid}' has no samples")
        longer = len(noise) - len(x)
        start = int(rng.integers(longer + 1 if longer >= 0 else len(noise)))
        noise = noise[(start + np.arange(len(x))) % len(noise)]
        if noise.ndim < x.ndim:
            noise = noise[:, None]
        if noise.shape[1:] not in ((), (1,), x.shape[1:]):
            raise UserError(
                f"{self.utt2noise}: noise of '{uttid}' has {noise.shape[1]} channels, "
                f"the sound has shape {x.shape}"
            )
        return noise


@dataclass
class BandpassPerturbation:
    """Set random bins to zero; those are kept whose normal draw is above the ratio.

    Args:
        lower: smallest ratio.
        upper: largest ratio.
        seed: see the module.
        axes: a draw for each index of these axes, shared along the others.
    """

    lower: float = 0.0
    upper: float = 0.75
    seed: int | None = None
    axes: tuple[int, ...] | list[int] = (-1,)
    ratio: _Ratio = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.ratio = _Ratio(self.lower, self.upper, None)

    def __call__(
        self, x: np.ndarray, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        if not train:
            return x
        wrong = [axis for axis in self.axes if not -x.ndim <= axis < x.ndim]
        if wrong:
            raise UserError(
                f"bandpass_perturbation: axes: {wrong[0]} is not an axis of an array "
                f"of shape {x.shape}"
            )
        axes = {axis % x.ndim for axis in self.axes}
        shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
        return x * (rng.standard_normal(shape) > self.ratio(None, rng))


@dataclass
class RIRConvolve:
    """Convolve with the room impulse response of the utterance; the length stays.

    The middle of the response is time zero, as with ``numpy.convolve(x, response,
    "same")``. A response with several channels gives (samples, channels).

    Args:
        utt2rir: responses by utterance.
        filetype: ``list`` (lines ``utterance file``) or ``sound.hdf5``.
    """

    utt2rir: str
    filetype: str = "list"
    response: Callable[[str | None], np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.response = sounds(self.utt2rir, self.filetype)

    def __call__(self, x: np.ndarray, uttid: str | None, train: bool) -> np.ndarray:
        if not train:
            return x
        if x.ndim != 1:
            raise UserError(
                f"rir_convolve: sound of '{uttid}' has {x.shape[-1]} channels, must "
                "have one; put channel_selector before it"
            )
        response = self.response(uttid)
        if len(response) == 0:
            raise UserError(f"{self.utt2rir}: response of '{uttid}' has no samples")
        channels = response if response.ndim == 2 else response[:, None]
        size = len(x) + len(response) - 1
        size_fft = 1 << (size - 1).bit_length()  # a fast length
        spectrum = np.fft.rfft(x, size_fft)[:, None] * np.fft.rfft(
            channels, size_fft, axis=0
        )
        start = (len(response) - 1) // 2
        y = np.fft.irfft(spectrum, size_fft, axis=0)[start : start + len(x)]
        return (y if response.ndim == 2 else y[:, 0]).astype(np.float32)


def _amplitude(ratio: float, dbunit: bool) -> float:
    return 10 ** (ratio / 20) if dbunit else ratio


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
