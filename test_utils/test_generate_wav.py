"""generate_wav.sh: sounds of features by a WaveNet."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py is not installed")

from wavenet_checkpoint import write_checkpoint

from espnet.data.audio import read_audio
from espnet.utils import hdf5

SIZES = ["--n_shift", 4, "--n_fft", 16, "--fs", 8000]
FRAMES = {"u1": 30, "u2": 7, "u3": 12}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    feats = {key: random.normal(size=(n, 3)) for key, n in FRAMES.items()}
    feats = {key: value.astype(np.float32) for key, value in feats.items()}
    kaldiio.save_ark(str(folder / "f.ark"), feats, scp=str(folder / "feats.scp"))
    with hdf5.writing(folder / "f.h5") as file:
        for key, value in feats.items():
            file[key] = value
    return folder


def lengths(folder: Path) -> dict[str, int]:
    sounds = {path.stem: read_audio(str(path)) for path in folder.iterdir()}
    assert all(rate == 8000 for _, rate in sounds.values())
    assert all(samples.any() for samples, _ in sounds.values())
    return {key: len(samples) for key, (samples, _) in sounds.items()}


def test_generate_wav(data: Path, stdout_of: Callable[..., str]) -> None:
    said = stdout_of("generate_wav.sh", *SIZES, "checkpoint.pkl", "data")
    assert "the sounds are in data/data" in said
    wanted = {key: 4 * frames for key, frames in FRAMES.items()}
    assert lengths(data / "data") == wanted
    assert "u3: 48 samples" in (data / "log/generate_wav.2.log").read_text()
    arguments = (*SIZES, "--nj", 3, "checkpoint.pkl", "data", "log", "wav")
    stdout_of("generate_wav.sh", *arguments)
    assert lengths(data.parent / "wav") == wanted


def test_hdf5_and_the_same_sounds_again(
    data: Path, stdout_of: Callable[..., str]
) -> None:
    call = ("generate_wav_from_fbank.py", *SIZES, "--model", "checkpoint.pkl")
    stdout_of(*call, "scp:data/feats.scp", "a")
    stdout_of(*call, "--filetype", "hdf5", "ark:data/f.h5", "b")
    for key in FRAMES:
        first, second = (data.parent / x / f"{key}.wav" for x in "ab")
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["x.pkl", "data"], "x.pkl: no such model file"),
        (["checkpoint.pkl", "nowhere"], "nowhere/feats.scp: no such file"),
        (["checkpoint.pkl"], "expected MODEL DATA [LOGDIR [WAVDIR]], got 1 arguments"),
        (["--n-shift", 5, "checkpoint.pkl", "data"], "4 samples from a frame, --n-shi"),
        (["--n-fft", 2, "checkpoint.pkl", "data"], "--n-fft=2: must be --n-shift=4 or"),
        (["--fs", 0, "checkpoint.pkl", "data"], "--fs=0: must be 1 or more"),
    ],
)
def test_mistakes(
    data: Path,
    run: Callable[..., subprocess.CompletedProcess[str]],
    arguments: list[object],
    words: str,
) -> None:
    done = run("generate_wav.sh", "--nj", 1, *SIZES, *arguments)
    assert done.returncode == 1 and words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(data.glob("data/*"))


@pytest.mark.parametrize(
    "array, words",
    [
        (np.zeros((4, 2), np.float32), "u2: has shape (4, 2), wanted is (T, 3)"),
        (np.zeros((0, 3), np.float32), "u2: has no frames"),
    ],
)
def test_features_that_are_not_right(
    data: Path, error_of: Callable[..., str], array: np.ndarray, words: str
) -> None:
    with hdf5.writing(data / "f.h5") as file:
        file["u1"], file["u2"] = np.zeros((3, 3)), array
    model = ("--model", "checkpoint.pkl", "--filetype", "hdf5")
    script = "generate_wav_from_fbank.py"
    assert words in error_of(script, *SIZES, *model, "ark:data/f.h5", "a")
