"""From options to a trained model, in this process."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import tiny_recogniser
import torch
from tiny_corpus import IDIM, ODIM, train_argv, write_corpus

from espnet import __version__
from espnet.asr.train import train
from espnet.asr.train_options import TrainOptions, parse_train_options
from espnet.train.plot import Studio
from espnet.train.start import choose_precision
from espnet.utils.errors import UserError
from espnet.utils.options import read_config


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what would have been drawn."""
    ordered: list[str] = []
    monkeypatch.setattr(Studio, "post", lambda self, name, job: ordered.append(name))
    return ordered


def run(files: dict[str, Path], outdir: Path, *more: object) -> Path:
    train(parse_train_options(train_argv(files, outdir, "--epochs", 2, *more)))
    return outdir


def log_of(outdir: Path) -> list[dict[str, Any]]:
    rows = json.loads((outdir / "log").read_text())
    return [{k: v for k, v in row.items() if k != "elapsed_time"} for row in rows]


def test_results(
    files: dict[str, Path], tmp_path: Path, no_pictures: list[str]
) -> None:
    outdir = run(
        files, tmp_path / "out", "--num-save-attention", 2, "--num-save-ctc", 1
    )
    names = {p.name for p in outdir.iterdir()}
    assert names == {
        *("model.json", "log", "model.loss.best", "model.acc.best"),
        *("snapshot.ep.1", "snapshot.ep.2"),
    }
    drawn = {str(Path(name).relative_to(outdir)) for name in no_pictures}
    assert drawn == {"loss.png", "acc.png"} | {
        name.format(epoch)
        for epoch in (1, 2)
        for name in (
            "att_ws/utt00.ep.{}.png",
            "att_ws/utt01.ep.{}.png",
            "ctc_prob/utt00.ep.{}.png",
        )
    }
    rows = log_of(outdir)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert {"main/loss", "main/acc", "validation/main/loss", "eps"} < set(rows[0])


def test_model_json_rebuilds_the_model(files: dict[str, Path], tmp_path: Path) -> None:
    outdir = run(files, tmp_path / "out", "--units", 5)
    text = (outdir / "model.json").read_text()
    idim, odim, args = json.loads(text)
    assert text == json.dumps([idim, odim, args], indent=4, sort_keys=True)
    assert (idim, odim) == (IDIM, ODIM)
    assert args["char_list"] == ["<blank>", "<unk>", "a", "b", "c", "<eos>"]
    assert args["version"] == __version__ and args["ngpu"] == 0
    assert args["model_module"] == "tiny_recogniser:E2E"
    assert args["batch_size"] == 2 and args["units"] == 5 and args["mtlalpha"] == 0.5
    model = tiny_recogniser.E2E(idim, odim, Namespace(**args))
    model.load_state_dict(torch.load(outdir / "model.loss.best", weights_only=True))
    assert read_config(TrainOptions, args).batch_size == 2


def test_same_seed_same_log_other_seed_other_log(
    files: dict[str, Path], tmp_path: Path
) -> None:
    outdirs = [tmp_path / name for name in "abc"]
    for outdir, seed in zip(outdirs, (1, 1, 2), strict=True):
        run(files, outdir, "--seed", seed)
    first, again, other = map(log_of, outdirs)
    assert first == again != other


def test_ctc_only_has_no_accuracy(files: dict[str, Path], tmp_path: Path) -> None:
    outdir = run(files, tmp_path / "out", "--mtlalpha", 1.0)
    assert not (outdir / "model.acc.best").exists()
    assert not any("main/acc" in row for row in log_of(outdir))


def test_float64(files: dict[str, Path], tmp_path: Path) -> None:
    outdir = run(files, tmp_path / "out", "--train-dtype", "float64")
    weights = torch.load(outdir / "model.loss.best", weights_only=True)
    assert {w.dtype for w in weights.values()} == {torch.float64}


def test_minibatches_sortagrad_and_augmentation(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = tmp_path / "specaug.yaml"
    conf.write_text("process:\n  - {type: time_mask, T: 5, n_mask: 1}\n")
    plain = run(files, tmp_path / "plain", "--sortagrad", -1, "--minibatches", 3)
    options = ("--sortagrad", -1, "--minibatches", 3, "--preprocess-conf", conf)
    masked = run(files, tmp_path / "masked", *options)
    assert "6 utterances in 3 minibatches of 2," in capsys.readouterr().out
    assert log_of(plain)[-1]["iteration"] == 6
    assert log_of(plain) != log_of(masked)


def test_nan_losses_name_the_utterances(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_recogniser.E2E.seen = 0
    run(files, tmp_path / "out", "--nan-from", 2, "--nan-until", 3)
    assert "update left out (2 so far); utterances: utt0" in caplog.text
    tiny_recogniser.E2E.seen = 0
    with pytest.raises(UserError, match="20 updates in a row"):
        options = ("--nan-until", 99, "--epochs", 9, "--patience", 0)
        run(files, tmp_path / "x", "--nan-from", 2, *options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what to do without a GPU")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((1, "float32"), "use --ngpu 0 to train on the CPU"),
        ((0, "float16"), "float16 needs a GPU; use float32"),
        ((None, "bfloat16"), "bfloat16 needs a GPU"),
    ],
)
def test_without_a_gpu(options: tuple[int | None, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        choose_precision(*options)
    assert choose_precision(None, "float32").device.type == "cpu"


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_on_a_gpu(files: dict[str, Path], tmp_path: Path, dtype: str) -> None:
    outdir = run(
        files, tmp_path / "out", "--ngpu", 1, "--train-dtype", dtype, "--epochs", 8
    )
    rows = log_of(outdir)
    assert rows[-1]["validation/main/loss"] < rows[0]["validation/main/loss"]
