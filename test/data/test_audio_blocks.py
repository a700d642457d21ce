"""Recordings block by block equal recordings read at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from espnet.data.audio_blocks import AudioBlocks
from espnet.utils.errors import UserError

RANDOM = np.random.default_rng(0)


def noise(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """Samples (N, C) of 16-bit integers."""
    return RANDOM.integers(-9000, 9000, (int(seconds * rate), channels), np.int16)


@pytest.mark.parametrize("kind", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 11025])
def test_all_samples_come(tmp_path: Path, kind: str, channels: int, rate: int) -> None:
    samples = noise(3.7, rate, channels)
    path = tmp_path / f"x.{kind}"
    soundfile.write(path, samples, rate)
    blocks = list(AudioBlocks(8000).of_file(path))
    assert len(blocks) > 3
    mono = samples.astype(np.float32).mean(axis=1)
    expected = soxr.resample(mono, rate, 8000)
    found = np.concatenate(blocks)
    assert found.dtype == np.float32 and abs(len(found) - len(expected)) <= 1
    size = min(len(found), len(expected))
    assert found[:size] == pytest.approx(expected[:size], abs=0.5)
    from_memory = np.concatenate(list(AudioBlocks(8000).of_samples(samples, rate, "x")))
    assert from_memory == pytest.approx(found, abs=1e-2)


def test_a_channel_can_be_chosen(tmp_path: Path) -> None:
    samples = noise(0.5, 8000, 2)
    path = tmp_path / "x.wav"
    soundfile.write(path, samples, 8000)
    found = np.concatenate(list(AudioBlocks(8000, channel=1).of_file(path)))
    assert found == pytest.approx(samples[:, 1].astype(float))
    with pytest.raises(UserError, match=r"x.wav: has 2 channels, so channel 2"):
        list(AudioBlocks(8000, channel=2).of_file(path))


def test_only_a_block_is_read_at_a_time(tmp_path: Path) -> None:
    """What is wrong at the end of a file does not keep its begin from being read."""
    path = tmp_path / "x.flac"
    soundfile.write(path, noise(30, 8000), 8000)
    path.write_bytes(path.read_bytes()[:-60000])
    blocks = AudioBlocks(8000).of_file(path)
    assert len(next(blocks)) == 8000
    with pytest.raises(UserError, match=r"x.flac: (is truncated|cannot be read)"):
        list(blocks)


def test_commands_are_run(tmp_path: Path) -> None:
    samples = noise(1.5, 8000)
    path = tmp_path / "x.wav"
    soundfile.write(path, samples, 8000)
    found = np.concatenate(list(AudioBlocks(8000).of_file(f"cat {path} |")))
    assert found == pytest.approx(samples[:, 0].astype(float))
    with pytest.raises(UserError, match="the command failed with status 3"):
        list(AudioBlocks(8000).of_file("exit 3 |"))
