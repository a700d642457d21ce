"""Utterances of wav.scp and segments: which samples they are, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from espnet.data.audio import encode_wav
from espnet.data.kaldi_options import FbankOptions
from espnet.data.wavscp import AudioReader, iter_utterances, parse_part
from espnet.utils.errors import UserError

RATE = 8000
SAMPLES = np.arange(4000) % 1000
CONFIG = FbankOptions(sample_frequency=RATE)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.wav").write_bytes(encode_wav(SAMPLES, RATE))
    Path("b.wav").write_bytes(encode_wav(SAMPLES[::-1], RATE))
    stereo = np.stack([SAMPLES, -SAMPLES], axis=1)
    Path("stereo.wav").write_bytes(encode_wav(stereo, RATE))
    Path("wav.scp").write_text("a a.wav\nb cat b.wav |\n")
    return tmp_path


def read(options: FbankOptions = CONFIG) -> dict[str, np.ndarray]:
    reader = AudioReader(options, "conf/fbank.conf")
    return {utt.key: reader.read(utt) for utt in iter_utterances(Path())}


def test_utterances_are_the_lines_of_wav_scp(data: Path) -> None:
    read_now = read()
    np.testing.assert_array_equal(read_now["a"], SAMPLES)
    np.testing.assert_array_equal(read_now["b"], SAMPLES[::-1])


def test_segments_cut_recordings_as_extract_segments_does(data: Path) -> None:
    Path("wav.scp").write_text("a a.wav\ns stereo.wav\n")
    Path("segments").write_text(
        "u1 a 0.1 0.2\nu2 a 0.25 -1\nu3 s 0 0.1 1\nu4 a 0.4 0.9\n"
    )
    cut = read()
    np.testing.assert_array_equal(cut["u1"], SAMPLES[800:1600])
    np.testing.assert_array_equal(cut["u2"], SAMPLES[2000:])
    np.testing.assert_array_equal(cut["u3"], -SAMPLES[:800])  # its channel column
    np.testing.assert_array_equal(cut["u4"], SAMPLES[3200:])  # 0.4 s over the end


@pytest.mark.parametrize("total, jobs", [(1, 1), (7, 3), (8, 8), (2, 5)])
def test_parts_are_all_lines_once_in_order(data: Path, total: int, jobs: int) -> None:
    keys = [f"u{n}" for n in range(total)]
    Path("wav.scp").write_text("".join(f"{key} a.wav\n" for key in keys))
    parts = [
        [utt.key for utt in iter_utterances(".", (job, jobs))]
        for job in range(1, jobs + 1)
    ]
    assert [key for part in parts for key in part] == keys
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_channel_and_rate_options_are_followed(data: Path) -> None:
    Path("wav.scp").write_text("s stereo.wav\n")
    right = read(FbankOptions(sample_frequency=RATE, channel=1))["s"]
    np.testing.assert_array_equal(right, -SAMPLES)
    half = FbankOptions(sample_frequency=4000, channel=0, allow_downsample=True)
    assert len(read(half)["s"]) == 2000
    double = FbankOptions(sample_frequency=16000, channel=0, allow_upsample=True)
    assert len(read(double)["s"]) == 8000


@pytest.mark.parametrize(
    "wav_scp, segments, options, words",
    [
        (
            "a a.wav\ns stereo.wav",
            "",
            CONFIG,
            "wav.scp:2: s: stereo.wav: has 2 channels, one is expected; write "
            "--channel=0 (left) or --channel=1 (right) in conf/fbank.conf",
        ),
        (
            "a a.wav",
            "",
            FbankOptions(),
            "wav.scp:1: a: a.wav: is sampled at 8000 Hz, but --sample-frequency is "
            "16000 in conf/fbank.conf; write --sample-frequency=8000",
        ),
        ("a a.wav", "", FbankOptions(4000), "or --allow-downsample=true to convert it"),
        ("a none.wav", "", CONFIG, "wav.scp:1: a: none.wav: No such file"),
        ("a", "", CONFIG, "wav.scp:1: expected '<key> <value>', has 'a'"),
        ("a a.wav", "u a 1", CONFIG, "segments:1: expected '<utt> <recording> <start>"),
        (
            "a a.wav",
            "u c 0 1",
            CONFIG,
            "segments:1: u: recording 'c' is not in wav.scp",
        ),
        ("a a.wav", "u a 0.3 0.2", CONFIG, "from 0.3 to 0.2 s is empty or reversed"),
        (
            "a a.wav",
            "u a 0.1 1.2",
            CONFIG,
            "segments:1: u: a.wav: the segment 0.1-1.2 s is outside the recording of",
        ),
        ("a a.wav", "u a 0.6 0.7", CONFIG, "is outside the recording"),
    ],
)
def test_faults_are_named_with_line_utterance_and_file(
    data: Path, wav_scp: str, segments: str, options: FbankOptions, words: str
) -> None:
    Path("wav.scp").write_text(wav_scp + "\n")
    if segments:
        Path("segments").write_text(segments + "\n")
    with pytest.raises(UserError, match=re.escape(words)):
        read(options)


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/"])
def test_parts_are_j_of_n(text: str) -> None:
    assert parse_part("2/3") == (2, 3)
    with pytest.raises(ValueError, match="is not J/N"):
        parse_part(text)
