"""Samples from a pipe: raw, wav, and what is neither."""

from __future__ import annotations

import io
import itertools
import logging
import os
import struct
import threading
import time
from typing import IO

import numpy as np
import pytest
import soundfile

from espnet.asr.stream_audio import LiveAudio
from espnet.data.audio_blocks import AudioBlocks
from espnet.utils.errors import UserError

RATE = 8000
SAMPLES = np.random.default_rng(0).integers(-3000, 3000, 2501).astype(np.int16)


def read(source: bytes | IO[bytes], rate: int = RATE) -> np.ndarray:
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    pieces = list(LiveAudio(stream, AudioBlocks(RATE), rate))
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    return np.concatenate([piece.samples for piece in pieces])


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def open_ended(data: bytes) -> bytes:
    """A wav as a program writes it that does not know yet how much will come."""
    place = data.index(b"data") + 4
    return data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :]


@pytest.mark.parametrize("count", [1, 6, 7, 2501])
def test_raw_samples_and_wav_are_the_same(count: int) -> None:
    samples = SAMPLES[:count]
    for source in (samples.tobytes(), wav(samples), open_ended(wav(samples))):
        np.testing.assert_array_equal(read(source), samples)


def test_what_follows_the_samples_of_wav_is_no_sound() -> None:
    more = b"LIST" + struct.pack("<I", 4) + b"abcd"
    np.testing.assert_array_equal(read(wav(SAMPLES) + more), SAMPLES)
    data = wav(SAMPLES)
    np.testing.assert_array_equal(read(data[:12] + more + data[12:]), SAMPLES)


def test_channels_are_mixed_and_rates_converted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = np.stack([SAMPLES, SAMPLES[::-1]], 1)
    expected = both.astype(np.float32).mean(1)
    np.testing.assert_array_equal(read(wav(both)), expected)
    tone = (1000 * np.sin(np.arange(4000) * 0.2)).astype(np.int16)
    found = read(wav(tone, 2 * RATE))
    assert abs(len(found) - 2000) < 3
    middle = slice(200, 1800)
    np.testing.assert_allclose(found[middle], tone[::2][: len(found)][middle], atol=5)
    assert caplog.text.count("audio of that rate is resampled") == 1
    assert caplog.text.count("has 2 channels") == 1
    np.testing.assert_array_equal(read(tone.tobytes(), 2 * RATE), found)


def test_a_pipe_gives_what_is_there() -> None:
    """Odd numbers of bytes, and no waiting for more than has come."""
    reading, writing = os.pipe()
    data = SAMPLES.tobytes()
    cuts = [0, 20, 33, 1000, 1001, len(data)]

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as out:
            for a, b in itertools.pairwise(cuts):
                out.write(data[a:b])
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as stream:
        np.testing.assert_array_equal(read(stream), SAMPLES)
    writer.join()


def test_realtime_holds_samples_back() -> None:
    begin = time.perf_counter()
    live = LiveAudio(io.BytesIO(SAMPLES.tobytes()), AudioBlocks(RATE), RATE, True)
    for count, piece in enumerate(live, 1):
        due = begin + min(800 * count, len(SAMPLES)) / RATE
        assert piece.last or piece.arrived >= due


def test_a_cut_off_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read(wav(SAMPLES)[:-101]), SAMPLES[:-51])
    assert "before its promised end" in caplog.text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", "holds no samples; pipe audio in"),
        (b"a", "holds no samples"),
        (wav(SAMPLES[:0]), "holds no samples; pipe audio in"),
        (b"fLaC" + bytes(100), "is FLAC; only wav and raw 16-bit samples"),
        (b"OggS" + bytes(100), "is Ogg"),
        (wav(SAMPLES)[:30], "ends before its samples"),
        (wav(SAMPLES / 32768, subtype="FLOAT"), "32 bits of format 3; only 16-bit PCM"),
        (wav(SAMPLES, subtype="PCM_24"), "24 bits"),
        (wav(SAMPLES).replace(b"fmt ", b"fmtx"), "without its fmt chunk"),
    ],
)
def test_what_cannot_be_read(source: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read(source)
