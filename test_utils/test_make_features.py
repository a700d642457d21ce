"""steps/make_*.sh as recipes call them: Kaldi's numbers, all or nothing, errors."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from espnet.data.audio import encode_wav
from espnet.data.features import fbank
from espnet.data.kaldi_options import FbankOptions

Run = Callable[..., "subprocess.CompletedProcess[str]"]
RATE = 8000
NOISE = np.random.default_rng(5).normal(scale=800, size=(4, RATE)).round()


def make_data(folder: Path, wavs: dict[str, str]) -> None:
    """A data directory ``data/t`` of utterance -> wav.scp entry, a speaker each."""
    (folder / "data/t").mkdir(parents=True)
    (folder / "conf").mkdir()
    for name, value in (("wav.scp", wavs), ("utt2spk", {k: k for k in wavs})):
        lines = [f"{key} {value[key]}\n" for key in sorted(wavs)]
        (folder / "data/t" / name).write_text("".join(lines))
    lines = [f"{key} {key}\n" for key in sorted(wavs)]
    (folder / "data/t/spk2utt").write_text("".join(lines))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four utterances of noise at 8 kHz, with conf/fbank.conf."""
    make_data(tmp_path, {f"u{n}": f"u{n}.wav" for n in range(4)})
    for n, samples in enumerate(NOISE):
        (tmp_path / f"u{n}.wav").write_bytes(encode_wav(samples, RATE))
    conf = f"--sample-frequency={RATE}\n--num-mel-bins=20\n"
    (tmp_path / "conf/fbank.conf").write_text(conf)
    return tmp_path


def feats_of(folder: Path) -> dict[str, np.ndarray]:
    return dict(kaldiio.load_scp(str(folder / "data/t/feats.scp")).items())


STEPS = {
    "make_fbank.sh": ("--fbank-config", "--num-mel-bins=80", ["fbank80"], 2e-3),
    "make_mfcc.sh": ("--mfcc-config", "", ["mfcc13"], 2e-3),
    "make_fbank_pitch.sh": (
        "--fbank_config",
        "--num-mel-bins=80",
        ["fbank80", "pitch_processed"],
        2e-3,
    ),
}


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("script", STEPS)
def test_scripts_give_what_kaldis_binaries_give(
    tmp_path: Path, golden: Path, run: Run, script: str, rate: int
) -> None:
    option, conf, kinds, tolerance = STEPS[script]
    files = [np.load(path) for path in sorted((golden / "kaldi_feats").glob("*.npz"))]
    files = [file for file in files if file["sample_rate"] == rate]
    assert files
    make_data(tmp_path, {f"u{n}": f"u{n}.wav" for n in range(len(files))})
    for n, file in enumerate(files):
        (tmp_path / f"u{n}.wav").write_bytes(encode_wav(file["samples"], rate))
    (tmp_path / "x.conf").write_text(f"--sample-frequency={rate}\n--dither=0\n{conf}\n")
    pitch = f"--sample-frequency={rate} # Hz\n"
    (tmp_path / "conf/pitch.conf").write_text(pitch)
    (tmp_path / "post.conf").write_text("--delta-pitch-noise-stddev=0\n")
    options = [option, "x.conf", "--nj", 2, "--compress", "false"]
    if script == "make_fbank_pitch.sh":
        options += ["--pitch-postprocess-config", "post.conf"]
    done = run(f"steps/{script}", *options, "data/t", "exp/log", "feats")
    assert done.returncode == 0, done.stderr
    feats = feats_of(tmp_path)
    for n, file in enumerate(files):
        reference = np.hstack([file[kind] for kind in kinds])
        np.testing.assert_allclose(feats[f"u{n}"], reference, rtol=0, atol=tolerance)
        if script == "make_fbank_pitch.sh":
            assert reference.shape[1] == 83
            own = feats[f"u{n}"][:, 80:]
            np.testing.assert_allclose(own, file["pitch_processed"], rtol=0, atol=1e-3)


def test_output_has_kaldis_names_and_tables(corpus: Path, run: Run) -> None:
    options = ["--nj", 3, "--write_utt2num_frames", "true"]
    done = run("steps/make_fbank.sh", *options, "data/t", "exp/log", "fbank")
    assert done.returncode == 0, done.stderr
    parts = [f"raw_fbank_t.{n}.{kind}" for n in (1, 2, 3) for kind in ("ark", "scp")]
    assert sorted(p.name for p in (corpus / "fbank").iterdir()) == parts
    lines = (corpus / "data/t/feats.scp").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["u0", "u1", "u2", "u3"]
    assert all(line.split()[1].startswith(f"{corpus}/fbank/raw_") for line in lines)
    frames = "".join(f"u{n} 98\n" for n in range(4))
    assert (corpus / "data/t/utt2num_frames").read_text() == frames
    assert (corpus / "data/t/utt2dur").read_text().startswith("u0 1.000\n")
    logs = sorted(p.name for p in (corpus / "exp/log").iterdir())
    assert logs == [f"make_fbank_t.{n}.log" for n in (1, 2, 3)]


def test_reruns_give_the_same_bytes_and_keep_the_old_scp(
    corpus: Path, run: Run
) -> None:
    arks = []
    for _ in range(2):  # with Kaldi's default dither
        assert run("steps/make_fbank.sh", "--nj", 1, "data/t").returncode == 0
        arks.append((corpus / "data/t/data/raw_fbank_t.1.ark").read_bytes())
    assert arks[0] == arks[1]
    assert (corpus / "data/t/.backup/feats.scp").is_file()
    assert (corpus / "data/t/log/make_fbank_t.1.log").is_file()


def test_compression_is_kaldis_and_close(corpus: Path, run: Run) -> None:
    with open(corpus / "conf/fbank.conf", "a") as conf:
        conf.write("--dither=0\n")
    assert run("steps/make_fbank.sh", "data/t").returncode == 0
    options = FbankOptions(RATE, dither=0, num_mel_bins=20)
    exact = fbank(NOISE[2].astype(np.float32), options)
    stored = feats_of(corpus)["u2"]
    assert 0 < np.abs(stored - exact).max() < 0.1
    assert b"BCM " in (corpus / "data/t/data/raw_fbank_t.1.ark").read_bytes()[:10]


def test_segments_and_pipes_are_honoured(corpus: Path, run: Run) -> None:
    with open(corpus / "conf/fbank.conf", "a") as conf:
        conf.write("--dither=0\n")
    (corpus / "data/t/wav.scp").write_text("r0 cat u0.wav |\nr1 u1.wav\n")
    (corpus / "data/t/segments").write_text("u0 r0 0.1 0.5\nu1 r1 0 1\nu2 r1 0.5 1\n")
    for name in ("utt2spk", "spk2utt"):
        (corpus / "data/t" / name).write_text("u0 u0\nu1 u1\nu2 u2\n")
    done = run("steps/make_fbank.sh", "--compress", "false", "--nj", 9, "data/t")
    assert done.returncode == 0, done.stderr
    feats = feats_of(corpus)
    options = FbankOptions(RATE, dither=0, num_mel_bins=20)
    for key, samples in {"u0": NOISE[0, 800:4000], "u2": NOISE[1, 4000:]}.items():
        reference = fbank(samples.astype(np.float32), options)
        np.testing.assert_array_equal(feats[key], reference)


def test_every_bad_utterance_is_named_and_nothing_is_left(
    corpus: Path, run: Run
) -> None:
    stereo = np.stack([NOISE[0], NOISE[1]], axis=1)
    good = encode_wav(NOISE[0], RATE)
    assert run("steps/make_fbank.sh", "data/t", "exp/log", "fbank").returncode == 0
    for name, content in {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "stereo": encode_wav(stereo, RATE),
        "fast": encode_wav(NOISE[0], 16000),
        "short": encode_wav(NOISE[0, :50], RATE),
        "fine": good,
    }.items():
        (corpus / f"{name}.wav").write_bytes(content)
    names = ["cut", "empty", "fast", "fine", "short", "stereo"]
    for table in ("wav.scp", "utt2spk", "spk2utt"):
        value = "{0} {0}.wav\n" if table == "wav.scp" else "{0} {0}\n"
        text = "".join(value.format(name) for name in names)
        text = text.replace("empty empty.wav", "empty cat empty.wav |")
        (corpus / "data/t" / table).write_text(text)
    done = run("steps/make_fbank.sh", "--nj", 2, "data/t", "exp/log", "out")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for words in (
        "wav.scp:1: cut: cut.wav: is truncated: its header promises 16000 bytes",
        "wav.scp:2: empty: cat empty.wav |: is empty (0 bytes)",
        "wav.scp:3: fast: fast.wav: is sampled at 16000 Hz, but --sample-frequency is "
        "8000 in conf/fbank.conf; write --sample-frequency=16000 there",
        "wav.scp:5: short: short.wav: has 50 samples, fewer than one frame of 25 ms",
        "wav.scp:6: stereo: stereo.wav: has 2 channels, one is expected; write "
        "--channel=0 (left) or --channel=1 (right) in conf/fbank.conf",
        "make_fbank.sh: error: no features for data/t, no feats.scp is written",
    ):
        assert re.search(re.escape(words), done.stderr), (words, done.stderr)
    assert "fine" not in done.stderr
    assert not (corpus / "data/t/feats.scp").exists()
    assert not (corpus / "data/t/utt2num_frames").exists()
    assert (corpus / "data/t/.backup/feats.scp").is_file()
    assert list((corpus / "out").iterdir()) == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--fbank-config", "none.conf", "data/t"], "--fbank-config: there is no file"),
        (["--fbank-conf", "x", "data/t"], "unknown option --fbank-conf"),
        (["--nj", "0", "data/t"], "--nj 0: must be a whole number above 0"),
        (["data/none"], "data/none/wav.scp: no such file"),
        ([], "expected DATA [LOGDIR [OUTDIR]], got 0 arguments"),
    ],
)
def test_wrong_calls_are_explained(
    corpus: Path, run: Run, arguments: list[str], words: str
) -> None:
    done = run("steps/make_fbank.sh", *arguments)
    assert done.returncode == 1 and words in done.stderr


def test_wrong_option_files_are_named_with_their_line(corpus: Path, run: Run) -> None:
    (corpus / "conf/fbank.conf").write_text("\n--num-mel-bin=80\n")
    done = run("steps/make_fbank.sh", "--nj", 1, "data/t")
    assert done.returncode == 1
    assert "conf/fbank.conf:2: unknown option '--num-mel-bin'" in done.stderr
    (corpus / "conf/fbank.conf").write_text("--sample-frequency=8000\n")
    (corpus / "conf/pitch.conf").write_text("\n")
    done = run("steps/make_fbank_pitch.sh", "--nj", 1, "data/t")
    words = (
        "conf/pitch.conf: --sample-frequency is 16000 here and 8000 in conf/fbank.conf"
    )
    assert done.returncode == 1 and words in done.stderr


def test_help_shows_every_option(corpus: Path, run: Run) -> None:
    shown = run("steps/make_fbank_pitch.sh", "--help").stdout
    for option in (
        *("nj", "cmd", "compress", "write-utt2num-frames", "write-utt2dur"),
        *("fbank-config", "pitch-config", "pitch-postprocess-config"),
        "paste-length-tolerance",
    ):
        assert f"--{option} " in shown
