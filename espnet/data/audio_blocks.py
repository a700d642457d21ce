"""Recordings of any length, block by block: one channel at the rate that is wanted."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from espnet.data.audio import INT16, check_header, read_audio
from espnet.utils.errors import UserError

BLOCK_SECONDS = 1.0


class AudioBlocks:
    """Reads recordings in blocks, so that only one of them is in memory.

    What has another sampling rate is resampled, what has several channels mixed down;
    the first time of each is said.

    Args:
        rate: sampling rate that is wanted, in Hz.
        channel: the channel to take of several; -1: their mean.
    """

    def __init__(self, rate: int, channel: int = -1) -> None:
        self.rate = rate
        self.channel = channel
        self._said: set[object] = set()

    def of_file(self, source: str | Path) -> Iterator[np.ndarray]:
        """Samples (N,) float32 at the scale of 16-bit integers, block by block.

        Args:
            source: a file, or a command that prints one and ends in ``|`` (which is
                read as a whole).

        Raises:
            UserError: unreadable, empty or cut off; the message begins with the file.
        """
        name = str(source)
        if name.strip().endswith("|"):
            samples, rate = read_audio(name)
            yield from self.of_samples(samples, rate, name)
            return
        _look_at(name)
        count = 0
        try:
            with soundfile.SoundFile(name) as audio:
                promised = audio.frames if audio.format == "FLAC" else 0
                size = int(audio.samplerate * BLOCK_SECONDS)
                blocks = audio.blocks(size, dtype="float32", always_2d=True)
                rate = int(audio.samplerate)
                convert = self.converter(rate, audio.channels, name)
                for block in blocks:
                    count += len(block)
                    yield convert.send(block * np.float32(INT16), False)
        except (soundfile.SoundFileError, OSError) as error:
            reason = str(error).rpartition(": ")[2].strip().rstrip(".")
            raise UserError(f"{name}: cannot be read as audio ({reason})") from None
        if count < promised:
            raise UserError(
                f"{name}: is truncated: its header promises {promised} samples, there "
                f"are {count}; copy the file again"
            )
        if count == 0:
            raise UserError(f"{name}: holds no samples; replace or remove it")
        yield convert.send(np.zeros((0, audio.channels), np.float32), True)

    def of_samples(
        self, samples: np.ndarray, rate: int, name: str
    ) -> Iterator[np.ndarray]:
        """The same of samples (N,) or (N, C) in memory, which have that scale.

        Raises:
            UserError: no samples, or not finite.
        """
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.ndim != 2 or rate <= 0:
            raise UserError(
                f"{name}: must be samples (N,) or (N, channels) and their rate in Hz, "
                f"not an array of shape {samples.shape} and {rate}"
            )
        if len(samples) == 0:
            raise UserError(f"{name}: holds no samples")
        if not np.isfinite(samples).all():
            raise UserError(f"{name}: holds NaN or infinite samples")
        convert = self.converter(rate, samples.shape[1], name)
        size = int(rate * BLOCK_SECONDS)
        for start in range(0, len(samples), size):
            last = start + size >= len(samples)
            yield convert.send(samples[start : start + size], last)

    def converter(self, rate: int, channels: int, name: str) -> Converter:
        """What mixes and resamples the blocks of a recording called ``name``.

        Raises:
            UserError: it does not have the channel that is wanted.
        """
        if self.channel >= channels > 1:
            raise UserError(
                f"{name}: has {channels} channels, so channel {self.channel} does not "
                "exist (they count from 0)"
            )
        if channels > 1:
            what = "the mean" if self.channel < 0 else f"channel {self.channel}"
            self._say(
                "channels", "%s: has %d channels; %s is used", name, channels, what
            )
        if rate != self.rate:
            self._say(
                rate,
                "%s: has %d Hz, the model %d Hz; audio of that rate is resampled",
                *(name, rate, self.rate),
            )
        return Converter(rate, self.rate, self.channel)

    def _say(self, about: object, message: str, *values: object) -> None:
        if about not in self._said:
            self._said.add(about)
            logging.warning(message, *values)


class Converter:
    """Mixes and resamples blocks of one recording."""

    def __init__(self, rate: int, wanted: int, channel: int) -> None:
        self.channel = channel
        self.stream = (
            soxr.ResampleStream(rate, wanted, 1, dtype="float32")
            if rate != wanted
            else None
        )

    def send(self, block: np.ndarray, last: bool) -> np.ndarray:
        """One channel (N',) of a block (N, C); after the last, nothing is held back."""
        if block.shape[1] == 1:
            mono = block[:, 0]
        elif self.channel < 0:
            mono = block.mean(axis=1)
        else:
            mono = block[:, self.channel]
        mono = np.ascontiguousarray(mono, dtype=np.float32)
        return mono if self.stream is None else self.stream.resample_chunk(mono, last)


def _look_at(name: str) -> None:
    """Refuse a file whose header promises more than there is, before it is read.

    Raises:
        UserError: missing, empty or cut off.
    """
    try:
        with open(name, "rb") as stream:
            if not stream.seek(0, 2):
                raise UserError(f"{name}: is empty (0 bytes); replace or remove it")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                check_header(data, name)
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}") from None
