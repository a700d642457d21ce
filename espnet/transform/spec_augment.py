"""SpecAugment (Park et al., 2019): warped time, masked bands, masked frames.

All of it acts in training only, on features (T, D).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from espnet.utils.errors import one_of


@dataclass
class TimeWarp:
    """Move a random frame by up to ``max_time_warp`` frames; the length stays.

    Args:
        max_time_warp: how far, in frames; an array that has not more than twice as
            many frames stays as it is.
        inplace: write into the array that was given.
        mode: ``PIL`` resizes the parts before and after by bicubic interpolation;
            ``sparse_image_warp`` bends the whole smoothly, by a spline.
    """

    max_time_warp: int = 80
    inplace: bool = False
    mode: str = "PIL"

    def __post_init__(self) -> None:
        if self.max_time_warp < 0:
            raise ValueError(f"max_time_warp: {self.max_time_warp} must be 0 or more")
        if self.mode not in WARPS:
            raise ValueError(one_of("mode", self.mode, WARPS))

    def __call__(
        self, x: np.ndarray, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        frames, reach = len(x), self.max_time_warp
        if not train or reach == 0 or frames - reach <= reach:
            return x
        centre = int(rng.integers(reach, frames - reach))
        target = int(rng.integers(centre - reach, centre + reach)) + 1
        warped = WARPS[self.mode](x, centre, target)
        if not (self.inplace and x.flags.writeable):
            return warped
        x[:] = warped
        return x


def _resize_parts(x: np.ndarray, centre: int, target: int) -> np.ndarray:
    """Frames before ``centre`` become ``target`` frames, those after it the rest."""

    def resize(part: np.ndarray, frames: int) -> np.ndarray:
        image = Image.fromarray(part.astype(np.float32))
        size = (part.shape[1], frames)
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))

    parts = [resize(x[:centre], target), resize(x[centre:], len(x) - target)]
    return np.concatenate(parts).astype(x.dtype)


def _bend(x: np.ndarray, centre: int, target: int) -> np.ndarray:
    """What was at ``centre`` is at ``target``; the ends stay where they are.

    The shift is a polyharmonic spline (r^2 log r, and a straight line) through the
    three points; between frames, interpolation is linear.
    """
    knots = np.array([0.0, target, len(x) - 1])
    shifts = np.array([0.0, target - centre, 0.0])
    times = np.arange(len(x), dtype=np.float64)
    line = np.stack([np.ones(3), knots], axis=1)
    system = np.block([[_kernel(knots, knots), line], [line.T, np.zeros((2, 2))]])
    weights = np.linalg.lstsq(system, np.append(shifts, [0.0, 0.0]), rcond=None)[0]
    shift = _kernel(times, knots) @ weights[:3] + weights[3] + weights[4] * times
    source = np.clip(times - shift, 0, len(x) - 1)
    lower = np.minimum(source.astype(np.int64), len(x) - 2)
    share = (source - lower)[:, None]
    return ((1 - share) * x[lower] + share * x[lower + 1]).astype(x.dtype)


def _kernel(times: np.ndarray, knots: np.ndarray) -> np.ndarray:
    squares = (times[:, None] - knots[None, :]) ** 2
    return 0.5 * squares * np.log(np.maximum(squares, 1e-10))


WARPS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "PIL": _resize_parts,
    "sparse_image_warp": _bend,
}


def _mask(
    x: np.ndarray,
    axis: int,
    limit: int,
    masks: int,
    zero: bool,
    inplace: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """Overwrite ``masks`` random bands of ``axis``, each narrower than ``limit``.

    The start and the width of a band are drawn with separate widths, as ESPnet1 does.
    """
    out = x if inplace and x.flags.writeable else x.copy()
    value = 0.0 if zero else x.mean()
    size = x.shape[axis]
    for _ in range(masks):
        reserved, width = (int(n) for n in rng.integers(0, limit, size=2))
        if reserved == 0 or reserved >= size:
            continue
        start = int(rng.integers(0, size - reserved))
        band = slice(start, start + width)
        out[band if axis == 0 else (slice(None), band)] = value
    return out


def _check_mask(limit_name: str, limit: int, n_mask: int) -> None:
    if limit < 1 or n_mask < 0:
        raise ValueError(
            f"{limit_name} {limit} must be 1 or more, n_mask {n_mask} 0 or more"
        )


@dataclass
class FreqMask:
    """Overwrite ``n_mask`` bands of fewer than ``F`` features each.

    Args:
        F: bound of the width.
        n_mask: number of bands.
        replace_with_zero: write 0; otherwise the mean of the array.
        inplace: write into the array that was given.
    """

    F: int = 30
    n_mask: int = 2
    replace_with_zero: bool = True
    inplace: bool = False

    def __post_init__(self) -> None:
        _check_mask("F", self.F, self.n_mask)

    def __call__(
        self, x: np.ndarray, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        if not train:
            return x
        zero = self.replace_with_zero
        return _mask(x, 1, self.F, self.n_mask, zero, self.inplace, rng)


@dataclass
class TimeMask:
    """Overwrite ``n_mask`` stretches of fewer than ``T`` frames each.

    Args:
        T: bound of the width.
        n_mask: number of stretches.
        replace_with_zero: write 0; otherwise the mean of the array.
        inplace: write into the array that was given.
    """

    T: int = 40
    n_mask: int = 2
    replace_with_zero: bool = True
    inplace: bool = False

    def __post_init__(self) -> None:
        _check_mask("T", self.T, self.n_mask)

    def __call__(
        self, x: np.ndarray, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        if not train:
            return x
        zero = self.replace_with_zero
        return _mask(x, 0, self.T, self.n_mask, zero, self.inplace, rng)


@dataclass
class SpecAugment:
    """Time warp, then masked bands, then masked frames, with one set of parameters."""

    resize_mode: str = "PIL"
    max_time_warp: int = 80
    max_freq_width: int = 27
    n_freq_mask: int = 2
    max_time_width: int = 100
    n_time_mask: int = 2
    inplace: bool = True
    replace_with_zero: bool = True
    steps: tuple[TimeWarp, FreqMask, TimeMask] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        zero, inplace = self.replace_with_zero, self.inplace
        self.steps = (
            TimeWarp(self.max_time_warp, inplace, self.resize_mode),
            FreqMask(self.max_freq_width, self.n_freq_mask, zero, inplace),
            TimeMask(self.max_time_width, self.n_time_mask, zero, inplace),
        )

    def __call__(
        self, x: np.ndarray, train: bool, rng: np.random.Generator
    ) -> np.ndarray:
        for step in self.steps:
            x = step(x, train=train, rng=rng)
        return x
