"""Samples from a pipe, as they arrive: raw 16-bit PCM, or wav."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np

from espnet.data.audio_blocks import AudioBlocks
from espnet.utils.errors import UserError

NAME = "standard input"
EMPTY = f"{NAME}: holds no samples; pipe audio in, < audio.wav"
PIECE = 0.1  # seconds that are read at once, at most
OPEN_ENDED = (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF)  # sizes in the headers of pipes
PCM, EXTENSIBLE = 1, 0xFFFE
OTHERS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"NIST_1A": "NIST SPHERE"}


class Piece(NamedTuple):
    """Samples (N,) at the rate that is wanted, when they were there, and if no more
    will come."""

    samples: np.ndarray
    arrived: float
    last: bool


class LiveAudio:
    """Reads a pipe piece by piece.

    Args:
        source: bytes; raw little-endian samples of one channel, or a wav file.
        audio: resamples and mixes down what needs it.
        rate: of raw samples, in Hz.
        realtime: hold each piece back until it would have sounded.

    Raises:
        UserError: nothing comes, or something that is neither of them.
    """

    def __init__(
        self, source: IO[bytes], audio: AudioBlocks, rate: int, realtime: bool = False
    ) -> None:
        self.source, self.realtime = source, realtime
        self.rate, self.channels = rate, 1
        self.left: int | None = None  # bytes to come; None: not known
        self.first = source.read(12)
        if len(self.first) < 2:
            raise UserError(EMPTY)
        self._look_at()
        self.converter = audio.converter(self.rate, self.channels, NAME)

    def __iter__(self) -> Iterator[Piece]:
        begin, count = time.perf_counter(), 0
        width = 2 * self.channels
        rest = self.first
        size = max(1, int(self.rate * PIECE)) * width
        while True:
            data = self._read(size - len(rest))
            last = not data
            data = rest + data
            whole = len(data) // width * width
            rest = data[whole:]
            count += whole // width
            if last and not count:
                raise UserError(EMPTY)
            samples = np.frombuffer(data[:whole], "<i2").reshape(-1, self.channels)
            if self.realtime:
                time.sleep(max(0.0, begin + count / self.rate - time.perf_counter()))
            arrived = time.perf_counter()
            mono = self.converter.send(samples.astype(np.float32), last)
            yield Piece(mono, arrived, last)
            if last:
                break
        if rest or self.left:
            logging.warning("%s: ends within a sample or before its promised end", NAME)

    def _read(self, size: int) -> bytes:
        """What is there now, ``size`` bytes at most; nothing at the end."""
        if self.left is not None:
            size = min(size, self.left)
        read = getattr(self.source, "read1", self.source.read)
        data: bytes = read(size) if size else b""
        if self.left is not None:
            self.left -= len(data)
        return data

    def _look_at(self) -> None:
        """Read the header of wav; leave raw samples in ``first``."""
        for magic, kind in OTHERS.items():
            if self.first.startswith(magic):
                raise UserError(
                    f"{NAME}: is {kind}; only wav and raw 16-bit samples can be read "
                    "as they arrive: ffmpeg -i FILE -f wav - | asr_stream.py ..."
                )
        if not (self.first[:4] == b"RIFF" and self.first[8:] == b"WAVE"):
            return
        form: bytes | None = None
        while True:
            head = self.source.read(8)
            if len(head) < 8:
                raise UserError(f"{NAME}: is a wav file that ends before its samples")
            kind, size = struct.unpack("<4sI", head)
            if kind == b"data":
                break
            content = self.source.read(size + size % 2)
            form = content if kind == b"fmt " else form
        if form is None or len(form) < 16:
            raise UserError(f"{NAME}: is a wav file without its fmt chunk")
        code, self.channels, self.rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
        if code == EXTENSIBLE and len(form) >= 26:
            code = struct.unpack_from("<H", form, 24)[0]
        if (code, bits) != (PCM, 16) or not self.channels or not self.rate:
            raise UserError(
                f"{NAME}: is wav with {bits} bits of format {code}; only 16-bit PCM "
                "can be read: ffmpeg -i FILE -c:a pcm_s16le -f wav - | asr_stream.py"
            )
        self.left = None if size in OPEN_ENDED else size
        self.first = b""
