"""Dereverberation by weighted prediction error (Nakatani et al., 2010)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from espnet.utils.errors import UserError, one_of

MODES = ("full", "valid")


@dataclass
class WPE:
    """Subtract the late reverberation, predicted from the frames before.

    STFT (T, F) or (T, channels, F) -> the same. In each frequency, ``taps`` frames of
    all channels, from ``delay`` frames ago on, predict the current one; the prediction
    is fitted by least squares, weighted by the inverse power of the result.

    Args:
        taps: frames that predict.
        delay: how long ago the last of them is.
        iterations: how often power and prediction are estimated.
        psd_context: frames to each side over which power is averaged.
        statistics_mode: ``full`` fits on all frames, ``valid`` only on those which all
            predicting frames exist for.
    """

    taps: int = 10
    delay: int = 3
    iterations: int = 3
    psd_context: int = 0
    statistics_mode: str = "full"

    def __post_init__(self) -> None:
        if self.statistics_mode not in MODES:
            raise ValueError(one_of("statistics_mode", self.statistics_mode, MODES))
        if min(self.taps, self.delay, self.iterations) < 1 or self.psd_context < 0:
            raise ValueError(
                f"taps {self.taps}, delay {self.delay} and iterations "
                f"{self.iterations} must be 1 or more, psd_context {self.psd_context} "
                "0 or more"
            )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if not np.iscomplexobj(x):
            raise UserError("wpe: needs complex spectra; put stft before it")
        channels = x if x.ndim == 3 else x[:, None]
        observed = channels.transpose(2, 1, 0).astype(np.complex128)  # (F, C, T)
        first = self.delay + self.taps - 1 if self.statistics_mode == "valid" else 0
        past = self._past(observed)  # (F, taps * C, T)
        result = observed
        for _ in range(self.iterations):
            weighted = (past / self._power(result))[..., first:]
            adjoint = past[..., first:].conj().swapaxes(1, 2)
            target = observed[..., first:].conj().swapaxes(1, 2)
            prediction = np.linalg.pinv(weighted @ adjoint, hermitian=True) @ (
                weighted @ target
            )  # (F, taps * C, C)
            result = observed - prediction.conj().swapaxes(1, 2) @ past
        y = result.transpose(2, 1, 0).astype(x.dtype)
        return y if x.ndim == 3 else y[:, 0]

    def _past(self, x: np.ndarray) -> np.ndarray:
        """For each frame those that predict it, zeros before the first."""
        parts = []
        for tap in range(self.taps):
            shift = min(self.delay + tap, x.shape[-1])
            part = np.zeros_like(x)
            part[..., shift:] = x[..., : x.shape[-1] - shift]
            parts.append(part)
        return np.concatenate(parts, axis=1)

    def _power(self, x: np.ndarray) -> np.ndarray:
        """(F, 1, T): over channels and context, not below 1e-10 of the greatest."""
        power = np.mean(np.abs(x) ** 2, axis=1, keepdims=True)
        reach, frames = self.psd_context, x.shape[-1]
        if reach:
            sums = np.cumsum(np.pad(power, [(0, 0), (0, 0), (1, 0)]), axis=-1)
            ends = np.minimum(np.arange(frames) + reach + 1, frames)
            starts = np.maximum(np.arange(frames) - reach, 0)
            power = (sums[..., ends] - sums[..., starts]) / (ends - starts)
        return np.maximum(power, max(1e-10 * float(power.max()), 1e-30))
