"""Training on sound, with every transform on the way: ``--preprocess-conf``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_corpus import train_argv

from espnet.asr.train import train
from espnet.asr.train_options import parse_train_options
from espnet.data.ark import write_global
from espnet.data.audio import encode_wav
from espnet.data.make_manifest import ManifestOptions, make_manifest
from espnet.data.manifest import save_json
from espnet.text.dictionary import Dictionary
from espnet.train.plot import Studio
from espnet.transform.transformation import TRANSFORMS
from espnet.utils.errors import UserError

RATE = 8000
MELS = 6
FBANK = {"type": "fbank", "fs": RATE, "n_mels": MELS, "n_fft": 256, "n_shift": 80}
STFT = {"type": "stft", "n_fft": 256, "n_shift": 80}
MEL = {"type": "stft2fbank", "fs": RATE, "n_mels": MELS, "n_fft": 256}
UTTS = {f"utt{i}": "A B A"[: 1 + 2 * (i % 3)] for i in range(4)}


def halve(x: np.ndarray, factor: float = 0.5) -> np.ndarray:
    """A function of the user's own."""
    return x * factor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds of one and of two channels, and what transforms look up."""
    folder = tmp_path_factory.mktemp("sound")
    random = np.random.default_rng(0)
    lines: dict[str, list[str]] = {}
    for utt, text in UTTS.items():
        samples = random.normal(scale=3000, size=(int(random.integers(3000, 5000)), 2))
        files = {"wav": samples[:, 0], "stereo": samples, "noise": samples[:999, 1]}
        files["rir"] = np.exp(-np.arange(50) / 9)
        for name, sound in files.items():
            path = folder / f"{utt}.{name}.wav"
            path.write_bytes(encode_wav(sound, RATE))
            lines.setdefault(f"{name}.scp", []).append(f"{utt} {path}")
        lines.setdefault("text", []).append(f"{utt} {text}")
        lines.setdefault("utt2spk", []).append(f"{utt} spk")
        lines.setdefault("utt2ratio", []).append(f"{utt} 0.9")
    for name, content in lines.items():
        (folder / name).write_text("".join(f"{line}\n" for line in content))
    sums = np.array([[0.0] * MELS + [100.0], [100.0] * MELS + [0.0]])
    write_global(str(folder / "cmvn.ark"), sums)
    (folder / "units.txt").write_text("<unk> 1\n<space> 2\nA 3\nB 4\n")
    return folder


# a chain for each transform, by its name; {} stands for the folder
CHAINS: dict[str, list[dict[str, Any]]] = {
    "identity": [{"type": "identity"}, FBANK],
    "fbank": [FBANK],
    "time_warp": [FBANK, {"type": "time_warp", "max_time_warp": 5}],
    "freq_mask": [FBANK, {"type": "freq_mask", "F": 3}],
    "time_mask": [FBANK, {"type": "time_mask", "T": 9}],
    "spec_augment": [FBANK, {"type": "spec_augment", "max_freq_width": 3}],
    "speed_perturbation": [{"type": "speed_perturbation", "keep_length": False}, FBANK],
    "speed by table": [
        {"type": "speed_perturbation", "utt2ratio": "{}/utt2ratio"},
        FBANK,
    ],
    "volume_perturbation": [{"type": "volume_perturbation", "seed": 3}, FBANK],
    "noise_injection": [{"type": "noise_injection"}, FBANK],
    "noise of a list": [
        {"type": "noise_injection", "utt2noise": "{}/noise.scp"},
        FBANK,
    ],
    "bandpass_perturbation": [FBANK, {"type": "bandpass_perturbation"}],
    "rir_convolve": [{"type": "rir_convolve", "utt2rir": "{}/rir.scp"}, FBANK],
    "delta": [FBANK, {"type": "delta", "order": 1}],
    "cmvn": [FBANK, {"type": "cmvn", "stats": "{}/cmvn.ark", "norm_vars": True}],
    "utterance_cmvn": [FBANK, {"type": "utterance_cmvn", "norm_vars": True}],
    "spectrogram": [{"type": "spectrogram", "n_fft": 64, "n_shift": 40}],
    "stft": [STFT, MEL],
    "stft2fbank": [STFT, MEL],
    "istft": [STFT, {"type": "istft", "n_shift": 80}, FBANK],
    "wpe": [STFT, {"type": "wpe", "taps": 2, "iterations": 1}, MEL],
    "channel_selector": [{"type": "channel_selector"}, FBANK],
    "a function": [FBANK, {"type": f"{__name__}:halve", "factor": 0.1}],
}
DIMENSIONS = {"delta": 2 * MELS, "spectrogram": 33}
STEREO = {"channel_selector"}


def test_no_transform_is_forgotten() -> None:
    assert set(TRANSFORMS) <= set(CHAINS)


@pytest.mark.parametrize("name", CHAINS)
def test_training_through_a_transform(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dimension is that of what comes out of the chain; the loss is a number."""
    monkeypatch.setattr(Studio, "curves", lambda *_: None)  # a process for each test
    chain = yaml.safe_dump({"process": CHAINS[name]}).replace("{}", str(folder))
    conf = tmp_path / "preprocess.yaml"
    conf.write_text(chain)
    scp = "stereo.scp" if name in STEREO else "wav.scp"
    files = write_manifest(folder, tmp_path, str(folder / scp), str(conf))
    argv = train_argv(files, tmp_path / "out", "--preprocess-conf", conf)
    train(parse_train_options([*argv, "--epochs", "2"]))
    idim, _, _ = json.loads((tmp_path / "out" / "model.json").read_text())
    assert idim == DIMENSIONS.get(name, MELS)
    rows = json.loads((tmp_path / "out" / "log").read_text())
    assert len(rows) == 2
    assert all(np.isfinite(row["main/loss"]) for row in rows)


def test_sound_without_features_is_told_of(folder: Path, tmp_path: Path) -> None:
    """data.json has to know the dimension that preprocessing makes."""
    files = write_manifest(folder, tmp_path, str(folder / "wav.scp"))
    argv = train_argv(files, tmp_path / "out")
    with pytest.raises(UserError, match=r"is not that of features .*preprocess-conf"):
        train(parse_train_options(argv))


def write_manifest(
    folder: Path, target: Path, feat: str, conf: str = ""
) -> dict[str, Path]:
    """data.json as data2json.sh makes it; returns what ``train_argv`` wants."""
    options = ManifestOptions(feat=feat, filetype="sound", preprocess_conf=conf)
    dictionary = Dictionary.load(folder / "units.txt")
    data = target / "data.json"
    save_json({"utts": make_manifest(folder, dictionary, options)}, data)
    return {"dict": folder / "units.txt", "train": data, "valid": data}
