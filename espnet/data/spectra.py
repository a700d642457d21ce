"""Spectra of the sounds of a wav.scp, as compute-fbank-feats.py and others store them.

These are ESPnet's features for synthesis (log10 mel energies of a magnitude spectrum);
those of Kaldi are in :mod:`espnet.data.features`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from espnet.data.audio import resample
from espnet.data.containers import Entry, StoreOptions, read_sounds
from espnet.data.wavscp import parse_part
from espnet.transform.spectrogram import LogMelSpectrogram, Spectrogram
from espnet.utils.errors import UserError
from espnet.utils.options import option

Extractor = Callable[[np.ndarray], np.ndarray]
BITS = (1, 16, 24, 32)


@dataclass(frozen=True)
class SoundOptions(StoreOptions):
    """Options of the programs that read sounds."""

    segments: str = option("", "file of lines <utt> <recording> <start> <end>")
    part: tuple = option((1, 1), "J/N: the J-th of N parts", parse=parse_part)
    normalize: int | None = option(
        None, "bits of a sample: divide by 2^(bits-1); 1: not", choices=BITS
    )


@dataclass(frozen=True)
class StftOptions(SoundOptions):
    """Options of compute-stft-feats.py."""

    filetype: str = option("mat", "kind of output", choices=("mat", "hdf5"))
    fs: int | None = option(
        None, "sampling rate to convert to; none: keep", optional_value=True
    )
    n_fft: int = option(1024, "length of the Fourier transform, samples")
    n_shift: int = option(512, "samples from frame to frame")
    win_length: int | None = option(
        None, "length of the window, samples; none: n_fft", optional_value=True
    )
    window: str = option("hann", "shape of the window", choices=("hann", "hamming"))


@dataclass(frozen=True)
class FbankOptions(StftOptions):
    """Options of compute-fbank-feats.py."""

    n_mels: int = option(80, "number of mel bands")
    fmin: int | None = option(None, "lowest frequency, Hz", optional_value=True)
    fmax: int | None = option(None, "highest frequency, Hz", optional_value=True)


def scaled_sounds(rspecifier: str, options: SoundOptions) -> Iterator[Entry]:
    """The sounds of ``scp:FILE`` or of its segments, divided as ``normalize`` says."""
    bits = options.normalize or 1
    for entry in read_sounds(rspecifier, options.segments, options.part):
        yield entry._replace(array=entry.array / np.float32(2 ** (bits - 1)))


def stft_features(rspecifier: str, options: StftOptions) -> Iterator[Entry]:
    """Magnitude spectra (T, n_fft / 2 + 1)."""
    spectrum = _checked(
        lambda: Spectrogram(
            options.n_fft, options.n_shift, options.win_length, options.window
        )
    )
    return _features(rspecifier, options, lambda rate: spectrum)


def fbank_features(rspecifier: str, options: FbankOptions) -> Iterator[Entry]:
    """Log10 mel energies (T, n_mels)."""

    @cache
    def of_rate(rate: int) -> Extractor:
        return _checked(
            lambda: LogMelSpectrogram(
                rate,
                options.n_mels,
                options.n_fft,
                options.n_shift,
                options.win_length,
                options.window,
                options.fmin,
                options.fmax,
            )
        )

    return _features(rspecifier, options, of_rate)


def _features(
    rspecifier: str, options: StftOptions, extractor: Callable[[int], Extractor]
) -> Iterator[Entry]:
    for key, samples, rate in scaled_sounds(rspecifier, options):
        if samples.ndim > 1:
            raise UserError(
                f"{key}: has {samples.shape[1]} channels, one is expected; choose one "
                "in the fifth column of --segments, or by a command in wav.scp"
            )
        wanted = options.fs or rate
        try:
            spectrum = extractor(wanted)(resample(samples, rate, wanted))
        except UserError as error:
            raise UserError(f"{key}: {error}") from None
        yield Entry(key, spectrum)


def _checked(make: Callable[[], Extractor]) -> Extractor:
    try:
        return make()
    except ValueError as error:
        raise UserError(str(error)) from None
