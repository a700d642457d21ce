"""From options to a trained model, in this process."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import tiny_recogniser
import torch
from tiny_corpus import IDIM, ODIM, train_argv, write_corpus
from train_log import log_of

from espnet import __version__
from espnet.asr.train import train
from espnet.asr.train_options import TrainOptions, parse_train_options
from espnet.train.plot import Studio
from espnet.train.start import (
    allow_tf32,
    choose_precision,
    compile_model,
    describe_device,
)
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


@pytest.mark.parametrize("module", ["e2e_asr", "e2e_asr_transducer"])
def test_new_models_need_a_step_for_each_layer(
    files: dict[str, Path], tmp_path: Path, module: str
) -> None:
    """Stored models may have had any list; see ``check_subsample_length``."""
    name = f"espnet.nets.pytorch_backend.{module}:E2E"
    sizes = ("--model-module", name, "--elayers", 3, "--subsample", "1_2")
    argv = train_argv(files, tmp_path / "out", *sizes)
    with pytest.raises(UserError, match="subsample: '1_2' has 2 numbers, elayers 3"):
        train(parse_train_options(argv))
    assert not (tmp_path / "out" / "model.json").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what to do without a GPU")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((1, "float32"), "use --ngpu 0 to train on the CPU"),
        ((0, "float16"), "float16 needs a GPU; use float32"),
        ((None, "O2"), "float16 needs a GPU"),
    ],
)
def test_without_a_gpu(options: tuple[int | None, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        choose_precision(*options)
    assert choose_precision(None, "float32").device.type == "cpu"
    assert choose_precision(None, "bfloat16").autocast is torch.bfloat16


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_on_a_gpu(files: dict[str, Path], tmp_path: Path, dtype: str) -> None:
    outdir = run(
        files, tmp_path / "out", "--ngpu", 1, "--train-dtype", dtype, "--epochs", 8
    )
    rows = log_of(outdir)
    assert rows[-1]["validation/main/loss"] < rows[0]["validation/main/loss"]


def test_a_level_of_apex_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_precision(0, "O0") == choose_precision(0, "float32")
    (record,) = caplog.records
    message = record.getMessage()
    assert "O0, a level of NVIDIA Apex, is --train-dtype float32 here" in message
    assert "autocast" not in message
    assert describe_device(choose_precision(0, "O0"), "O0").endswith(", float32")


def test_tf32_is_a_switch() -> None:
    for is_allowed in (True, False):
        allow_tf32(is_allowed)
        assert torch.backends.cudnn.allow_tf32 is is_allowed
        named = torch.get_float32_matmul_precision()
        assert named == ("high" if is_allowed else "highest")


def test_compiled_models_compute_the_same() -> None:
    """The names of parameters stay, so that snapshots are those of any run."""
    if not any(map(shutil.which, ("g++", "c++", "clang++"))):
        pytest.skip("torch.compile needs a C++ compiler")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh())
    before, x = list(model.state_dict()), torch.randn(5, 3)
    expected = model(x)
    compile_model(model, "cuda")
    torch.testing.assert_close(model(x), expected)
    assert list(model.state_dict()) == before


def test_compile_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="none of .* is on PATH; install g"):
        compile_model(torch.nn.Linear(1, 1), "cuda")
    with pytest.raises(UserError, match="compile: true is for GPUs"):
        compile_model(torch.nn.Linear(1, 1), "cpu")


def test_unreadable_utterances_may_be_left_out(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = json.loads(files["train"].read_text())
    gone = content["utts"]["utt05"]["input"][0]
    gone["feat"] = gone["feat"].rpartition(":")[0] + ":99999999"
    files["train"].write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        run(files, tmp_path / "x")
    first, remedy = str(error.value).splitlines()
    assert first.startswith("utterance 'utt05': ")
    assert remedy.startswith("--skip-bad-utterances true trains without")
    run(files, tmp_path / "out", "--skip-bad-utterances", "true")
    assert caplog.text.count("utterance 'utt05'") == 1


class TwoInputs(tiny_recogniser.E2E):
    """A plug-in that reads two inputs."""

    def __init__(self, idim: list[int], odim: int, args: Namespace) -> None:
        super().__init__(sum(idim), odim, args)

    def forward(self, xs: Any, ilens: Any, ys: torch.Tensor) -> torch.Tensor:
        frames = min(x.shape[1] for x in xs)
        both = torch.cat([x[:, :frames] for x in xs], dim=2)
        return super().forward(both, torch.minimum(*ilens), ys)


def test_a_model_of_two_inputs(files: dict[str, Path], tmp_path: Path) -> None:
    """data.json lists them; a model of the user's own gets them side by side."""
    for name in ("train", "valid"):
        content = json.loads(files[name].read_text())
        for entry in content["utts"].values():
            entry["input"].append(dict(entry["input"][0], name="input2"))
        files[name].write_text(json.dumps(content))
    module = ("--model-module", f"{__name__}:TwoInputs")
    outdir = run(files, tmp_path / "out", *module, "--num-encs", 2)
    assert json.loads((outdir / "model.json").read_text())[0] == [IDIM, IDIM]
    rows = log_of(outdir)
    assert rows[1]["main/loss"] < rows[0]["main/loss"]
    with pytest.raises(UserError, match="has 2 inputs, the model 1"):
        run(files, tmp_path / "x")
    with pytest.raises(UserError, match=r"num-encs: 3: .* has 2 inputs"):
        run(files, tmp_path / "x", *module, "--num-encs", 3)
    module = ("--model-module", "espnet.nets.pytorch_backend.e2e_asr:E2E")
    with pytest.raises(UserError, match=r"num-encs: 2: .*e2e_asr:E2E has one input"):
        run(files, tmp_path / "x", *module, "--num-encs", 2)


def test_what_is_said_of_an_epoch(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each; the log has the times of the row, waiting for data and working."""
    options = ("--opt", "adam", "--lr", 0.02, "--num-save-attention", 3)
    outdir = run(files, tmp_path / "out", "--report-interval-iters", 2, *options)
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines[1:]] == ["epoch 1", "epoch 2"]
    assert "loss falls (" in lines[2] and "attention is not diagonal" in lines[2]
    assert lines[2].endswith("% padding")
    rows = json.loads((outdir / "log").read_text())
    for row in rows:
        assert row["data_time"] > 0 and row["step_time"] > 0
    assert [row["iteration"] for row in rows] == [2, 4, 5, 6, 8, 10]
    assert ["validation/main/loss" in row for row in rows] == [False, False, True] * 2
