"""Audio: formats, channels, broken files, commands, speed."""

from __future__ import annotations

import os
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet.data import audio
from espnet.data.audio import (
    encode_wav,
    perturb_speed,
    read_audio,
    resample,
    select_channel,
    to_int16,
)
from espnet.utils.errors import UserError

RATE = 8000
TIME = np.arange(4000) / RATE
TONE = np.round(9000 * np.sin(2 * np.pi * 440 * TIME)).astype(np.int16)
UTILS = Path(__file__).resolve().parents[2] / "utils"


@pytest.mark.parametrize(
    "name, how, error",
    [
        ("a.wav", {}, 0),
        ("a.wav", {"subtype": "PCM_24"}, 0),
        ("a.wav", {"subtype": "FLOAT"}, 0),
        ("a.wav", {"subtype": "ULAW"}, 300),
        ("a.flac", {}, 0),
        ("a.ogg", {}, 2000),
        ("a.mp3", {}, 2000),
        ("a.sph", {"format": "NIST", "subtype": "PCM_16"}, 0),
        ("a.sph", {"format": "NIST", "subtype": "PCM_16", "endian": "BIG"}, 0),
        ("a.sph", {"format": "NIST", "subtype": "ULAW"}, 300),
        ("sphere.wav", {"format": "NIST", "subtype": "PCM_16"}, 0),
    ],
)
@pytest.mark.parametrize("piped", [False, True])
def test_formats_are_read_at_the_scale_of_int16(
    tmp_path: Path, name: str, how: dict, error: float, piped: bool
) -> None:
    path = tmp_path / name
    written = TONE / 32768 if how.get("subtype") == "FLOAT" else TONE
    soundfile.write(path, written, RATE, **how)
    samples, rate = read_audio(f"cat {path} |" if piped else str(path))
    assert rate == RATE and samples.dtype == np.float32 and samples.shape[1] == 1
    if name.endswith("mp3"):  # the coder pads
        assert abs(len(samples) - len(TONE)) < 3000
        assert np.abs(samples).max() == pytest.approx(9000, rel=0.1)
    else:
        assert np.abs(samples[:, 0] - TONE).max() <= error


def test_streamed_headers_of_unknown_size_are_read(tmp_path: Path) -> None:
    data = bytearray(encode_wav(TONE, RATE))
    for size in (0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFF000):
        place = data.index(b"data") + 4
        data[place : place + 4] = struct.pack("<I", size)
        path = tmp_path / "a.wav"
        path.write_bytes(data)
        np.testing.assert_array_equal(read_audio(str(path))[0][:, 0], TONE)


def shorten_header() -> bytes:
    fields = [
        "sample_count -i 4000",
        "sample_n_bytes -i 2",
        "channel_count -i 1",
        "sample_rate -i 8000",
        "sample_coding -s26 pcm,embedded-shorten-v2.00",
        "end_head",
    ]
    return ("NIST_1A\n   1024\n" + "\n".join(fields) + "\n").encode().ljust(
        1024
    ) + b"ajkg"


def damaged(kind: str, folder: Path) -> bytes:
    path = folder / f"whole.{kind}"
    how = {"format": "NIST", "subtype": "PCM_16"} if kind == "sph" else {}
    soundfile.write(path, TONE, RATE, **how)
    data = path.read_bytes()
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda _: b"", "x: is empty (0 bytes)"),
        (lambda _: encode_wav(TONE[:0], RATE), "x: holds no samples"),
        (lambda _: encode_wav(TONE, RATE)[:30], "x: is cut off: it ends before"),
        (
            lambda f: damaged("wav", f),
            "x: is truncated: its header promises 8000 bytes of samples, there are",
        ),
        (
            lambda f: damaged("sph", f),
            "x: is truncated: its header promises 9024 bytes",
        ),
        (lambda f: damaged("flac", f), "x: is damaged or truncated (flac decoder"),
        (lambda _: b"hello world, no audio", "x: cannot be read as audio"),
        (lambda _: shorten_header(), "is compressed with shorten"),
        (lambda _: shorten_header(), "sph2pipe -f wav -p"),
    ],
)
def test_broken_files_are_named_with_their_fault(
    tmp_path: Path, make: object, words: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(make(tmp_path))  # type: ignore[operator]
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        read_audio(str(path))
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "command, words",
    [
        ("no-such-program -x |", "failed with status 127: .*not found.* name the file"),
        ("echo why >&2; exit 3 |", "failed with status 3: why"),
        ("true |", "true |: is empty"),
        ("cat none.wav |", "status 1: .*No such file"),
    ],
)
def test_failed_commands_are_quoted_with_their_reason(command: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_audio(command)


def test_missing_file_is_named() -> None:
    with pytest.raises(UserError, match=r"none/a.wav: No such file"):
        read_audio("none/a.wav")


def test_channels_are_chosen_or_asked_for() -> None:
    stereo = np.stack([TONE, -TONE], axis=1)
    np.testing.assert_array_equal(select_channel(stereo, 1, ""), -TONE)
    np.testing.assert_array_equal(select_channel(stereo[:, :1], -1, ""), TONE)
    with pytest.raises(UserError, match="has 2 channels, one is expected; use --left"):
        select_channel(stereo, -1, "use --left")
    with pytest.raises(UserError, match="has 2 channels, so channel 2 does not exist"):
        select_channel(stereo, 2, "")


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_speed_changes_length_and_pitch_together(factor: float) -> None:
    long = np.tile(TONE, 4).astype(np.float32)
    fast = perturb_speed(long, factor)
    assert len(fast) == round(len(long) / factor)
    spectrum = np.abs(np.fft.rfft(fast * np.hanning(len(fast))))
    peak = spectrum.argmax() * RATE / len(fast)
    assert peak == pytest.approx(440 * factor, abs=1)
    assert len(resample(long, 8000, 16000)) == 2 * len(long)


def test_loud_samples_are_clipped_not_wrapped() -> None:
    assert to_int16(np.array([4e4, -4e4, 0.6])).tolist() == [32767, -32768, 1]


@pytest.mark.parametrize("form", ["{c} 0.9 {f} |", "cat {f} | {c} 0.9 - |"])
def test_perturb_command_in_wav_scp_equals_the_function(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encode_wav(TONE, RATE))
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    source = form.format(c=UTILS / "perturb_speed.py", f=path)
    inside, rate = read_audio(source)  # without another process
    monkeypatch.setattr(audio, "_speed_stage", lambda _: None)
    outside, other_rate = read_audio(source)
    assert rate == other_rate == RATE and len(inside) == round(len(TONE) / 0.9)
    np.testing.assert_array_equal(inside, outside)
