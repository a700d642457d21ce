"""From options to a trained language model, in this process."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from lm_models import MODELS
from train_log import log_of

from espnet import __version__
from espnet.lm.train import perplexities, train
from espnet.lm.train_options import parse_lm_train_options
from espnet.nets.pytorch_backend.lm.options import full_name
from espnet.train.checkpoint import load_snapshot
from espnet.train.plot import Studio
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError

TOKENS = ["<unk>", "<space>", "a", "b", "c"]
N_VOCAB, EOS = 7, 6


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what would have been drawn."""
    ordered: list[str] = []
    monkeypatch.setattr(Studio, "post", lambda self, name, job: ordered.append(name))
    return ordered


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts in which b always follows a."""
    draw = random.Random(0)
    for name, count in (("train", 60), ("valid", 12), ("test", 12)):
        lines = [
            " ".join(draw.choice(["a b", "c", "<space>"]) for _ in range(n % 7 + 1))
            for n in range(count)
        ]
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    units = "".join(f"{t} {i}\n" for i, t in enumerate(TOKENS, 1))
    (tmp_path / "units.txt").write_text(units)
    return tmp_path


def argv(folder: Path, *more: object, out: str = "out") -> list[str]:
    return [
        *("--dict", str(folder / "units.txt"), "--outdir", str(folder / out)),
        *("--train-label", str(folder / "train")),
        *("--valid-label", str(folder / "valid")),
        *("--layer", "1", "--unit", "8", "--batchsize", "10", "--ngpu", "0"),
        *map(str, more),
    ]


def run(folder: Path, *more: object, out: str = "out") -> Path:
    train(parse_lm_train_options(argv(folder, *more, out=out)))
    return folder / out


def test_results(folder: Path, no_pictures: list[str]) -> None:
    outdir = run(folder, "--epoch", 3, "--opt", "adam", "--lr", "0.02")
    names = {p.name for p in outdir.iterdir()}
    assert names == {
        *("model.json", "log", "rnnlm.model.best"),
        *(f"rnnlm.model.{n}" for n in (1, 2, 3)),
        *(f"snapshot.ep.{n}" for n in (1, 2, 3)),
    }
    assert {Path(p).name for p in no_pictures} == {"loss.png", "perplexity.png"}
    losses = [
        row["validation/main/loss"]
        for row in log_of(outdir)
        if "validation/main/loss" in row
    ]
    best = 1 + losses.index(min(losses))
    assert os.readlink(outdir / "rnnlm.model.best") == f"rnnlm.model.{best}"
    args = json.loads((outdir / "model.json").read_text())
    assert args["n_vocab"] == N_VOCAB and args["version"] == __version__
    assert args["char_list_dict"] == {
        **{"<blank>": 0, "<unk>": 1, "<space>": 2, "a": 3, "b": 4, "c": 5},
        "<eos>": 6,
    }
    assert args["lr"] == 0.02 and args["model_module"] == "default"


def test_log(folder: Path) -> None:
    """Perplexity is exp(nll / count), of the interval and of validation."""
    outdir = run(folder, "--epoch", 2, "--report-interval-iters", 4)
    rows = log_of(outdir)
    assert [row["iteration"] for row in rows] == [4, 6, 8, 12]
    for row in rows:
        assert row["perplexity"] == pytest.approx(
            math.exp(row["main/nll"] / row["main/count"])
        )
    assert ["val_perplexity" in row for row in rows] == [False, True] * 2
    last = rows[-1]
    value = last["validation/main/nll"] / last["validation/main/count"]
    assert last["val_perplexity"] == pytest.approx(math.exp(value))
    assert perplexities({"main/nll": 1e9, "main/count": 1}) == {"perplexity": math.inf}


@pytest.mark.parametrize("module", ["default", "seq_rnn", "transformer"])
def test_perplexity_on_the_test_text(
    folder: Path, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    """Of the best model, equal to that of its sentences one by one."""
    more = ["--head", 2, "--att-unit", 8] if module == "transformer" else []
    outdir = run(
        *(folder, "--model-module", module, "--test-label", folder / "test", *more),
        *("--opt", "adam", "--lr", "0.05", "--epoch", "4"),
    )
    said = capsys.readouterr().out.splitlines()[-1]
    args = json.loads((outdir / "model.json").read_text())
    model = dynamic_import(full_name(module))(N_VOCAB, Namespace(**args)).eval()
    weights = torch.load(outdir / "rnnlm.model.best", weights_only=True)
    model.load_state_dict(weights)
    total = count = 0
    for line in (folder / "test").read_text().splitlines():
        ids = [args["char_list_dict"][t] for t in line.split()]
        _, nll, n = model(torch.tensor([[EOS, *ids]]), torch.tensor([[*ids, EOS]]))
        total, count = total + float(nll.detach()), count + int(n)
    value = math.exp(total / count)
    assert f"test perplexity {value:.4f}" in said and "of epoch" in said
    assert value < 4.5  # of 7 tokens, of which one is always known


def test_rerun_goes_on_as_if_uninterrupted(folder: Path) -> None:
    options = ("--opt", "adam", "--schedulers", "lr=noam", "--lr-noam-warmup", 3)
    options += ("--accum-grad", 2, "--patience", 0, "--report-interval-iters", 2)
    whole = run(folder, *options, "--epoch", 4, out="whole")
    run(folder, *options, "--epoch", 2)
    parts = run(folder, *options, "--epoch", 4)
    assert log_of(parts) == log_of(whole)
    for name in ("rnnlm.model.4", "rnnlm.model.best"):
        ours, theirs = (
            torch.load(outdir / name, weights_only=True) for outdir in (parts, whole)
        )
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    # a model that was lost on the way comes back with the next epoch's link
    (parts / "rnnlm.model.best").unlink()
    run(folder, *options, "--epoch", 5)
    assert (parts / "rnnlm.model.best").is_file()


def test_resume_from_a_named_snapshot(folder: Path) -> None:
    first = run(folder, "--epoch", 1, out="first")
    outdir = run(folder, "--epoch", 2, "--resume", first / "snapshot.ep.1")
    assert not (outdir / "rnnlm.model.1").exists()
    assert log_of(outdir)[-1]["epoch"] == 2
    content = load_snapshot(outdir / "snapshot.ep.2")
    assert content["trainer"]["position"]["iteration"] == 12


def test_best_model_of_before_a_resume(folder: Path, tmp_path: Path) -> None:
    """If no later epoch is better, the link leads to the weights of the first run."""
    first = run(folder, "--epoch", 1, out="first")
    options = ("--lr", "1e-12", "--patience", 0)
    snapshot = torch.load(first / "snapshot.ep.1", weights_only=True)
    history = json.loads(snapshot["trainer"]["report"]["history"])
    history[0]["validation/main/loss"] = 0.0
    snapshot["trainer"]["report"]["history"] = json.dumps(history)
    torch.save(snapshot, tmp_path / "snapshot.ep.1")
    outdir = run(folder, *options, "--epoch", 2, "--resume", tmp_path / "snapshot.ep.1")
    assert os.readlink(outdir / "rnnlm.model.best") == "rnnlm.model.1"
    weights = torch.load(outdir / "rnnlm.model.best", weights_only=True)
    for name, value in weights.items():
        assert value.equal(snapshot["model"][name])


def test_best_model_of_before_a_resume_is_lost(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(folder, "--epoch", 1, out="first")
    (first / "snapshot.ep.1").rename(tmp_path / "kept")
    outdir = run(folder, "--epoch", 2, "--resume", tmp_path / "kept", "--lr", "1e4")
    assert os.readlink(outdir / "rnnlm.model.best") == "rnnlm.model.2"


def test_other_options_or_texts_need_another_outdir(folder: Path) -> None:
    run(folder, "--epoch", 1)
    with pytest.raises(UserError, match=r"other options \(unit: 8 there, 9 now\)"):
        run(folder, "--unit", 9, "--epoch", 1)
    with open(folder / "train", "a") as stream:
        stream.write("a b\n")
    with pytest.raises(UserError, match="than --train-label and --valid-label hold"):
        run(folder, "--epoch", 2)


def test_early_stopping(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outdir = run(folder, "--lr", "1e-12", "--patience", 2, "--epoch", 9)
    shutil.rmtree(outdir)
    run(folder, "--lr", "300", "--gradclip", 0, "--patience", 1, "--epoch", 9)
    assert "(1 without a better validation/main/loss)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "opt", ["sgd", "adam", "adamw", "adadelta", "torch.optim:Adagrad"]
)
def test_optimizers(folder: Path, opt: str) -> None:
    rows = log_of(run(folder, "--opt", opt, "--epoch", 3))
    values = [row["val_perplexity"] for row in rows if "val_perplexity" in row]
    assert values[-1] < values[0]


def test_numbers_and_plan_of_an_optimizer_of_the_users(folder: Path) -> None:
    outdir = run(
        *(folder, "--opt", "torch.optim:RMSprop", "--lr", 0.02, "--epoch", 1),
        *("--weight-decay", 0.1, "--schedulers", "lr=warmup", "--lr-warmup-warmup", 24),
    )
    snapshot = load_snapshot(outdir / "snapshot.ep.1")
    (group,) = snapshot["optimizer"]["param_groups"]
    updates = log_of(outdir)[-1]["iteration"]
    assert group["lr"] == pytest.approx(0.02 * (updates + 1) / 24)
    assert group["weight_decay"] == 0.1


def test_old_snapshots_go(folder: Path) -> None:
    """The weights of each epoch stay."""
    outdir = run(folder, "--epoch", 4, "--keep-snapshots", 2)
    names = sorted(path.name for path in outdir.glob("snapshot*"))
    assert names == ["snapshot.ep.3", "snapshot.ep.4"]
    assert len(list(outdir.glob("rnnlm.model.?"))) == 4


def test_new_models_differ_from_espnet1_where_it_was_wrong(folder: Path) -> None:
    """Their model.json says so; an option can have the old behaviour."""
    for module, name, value in (
        ("seq_rnn", "recurrence", "time"),
        ("default", "step_weight", "one"),
    ):
        outdir = run(folder, "--model-module", module, "--epoch", 1, out=module)
        assert json.loads((outdir / "model.json").read_text())[name] == value
    outdir = run(folder, "--step-weight", "share", "--epoch", 1)
    assert json.loads((outdir / "model.json").read_text())["step_weight"] == "share"


def test_a_plug_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mylm.py").write_text(
        "import torch\n"
        "from dataclasses import dataclass\n"
        "from espnet.nets.lm_interface import LMInterface\n"
        "from espnet.utils.options import option\n"
        "@dataclass(frozen=True)\n"
        "class Options:\n"
        "    bias: float = option(0.5, 'start')\n"
        "class Unigram(LMInterface, torch.nn.Module):\n"
        "    Config = Options\n"
        "    def __init__(self, n_vocab, args):\n"
        "        super().__init__()\n"
        "        self.w = torch.nn.Parameter(torch.full((n_vocab,), args.bias))\n"
        "    def forward(self, x, t):\n"
        "        losses = -self.w.log_softmax(0)[t.clamp(min=0)] * (t >= 0)\n"
        "        count = (t >= 0).sum()\n"
        "        return losses.sum() / count, losses.sum(), count\n"
    )
    monkeypatch.syspath_prepend(folder)
    args = [a for a in argv(folder) if a not in ("--layer", "1", "--unit", "8")]
    module = ("--model-module", "mylm:Unigram", "--bias", "0.25", "--epoch", "1")
    train(parse_lm_train_options([*args, *module]))
    assert json.loads((folder / "out/model.json").read_text())["bias"] == 0.25


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model-module", "rnn"], "'rnn' is none of default, seq_rnn, transformer"),
        (
            ["--model-module", "espnet.nets.scorers.lm:LMScorer"],
            r"is no language model: it has no add_arguments",
        ),
        (["--backend", "chainer"], "backend: only the pytorch backend"),
        (["--batchsize", "0"], "batchsize: 0 must be 1 or more"),
        (["--num-procs", "0"], "num-procs: 0 must be 1 or more"),
        (["--schedulers", "lr=x"], "schedulers: lr: 'x' is none of none, noam, cosine"),
    ],
)
def test_options_that_cannot_be(folder: Path, more: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_lm_train_options(argv(folder, *more))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--lr", "0"], "lr: 0.0 must be above 0"),
        (["--opt", "adam", "--beta1", "1"], r"beta1: 1.0 must lie in \[0, 1\)"),
        (["--schedulers", "eps=noam"], "schedulers: field: 'eps' is none of lr"),
        (["--unit", "0"], "unit: 0 must be 1 or more"),
        (["--opt", "torch.optim:Adamm"], "opt: module 'torch.optim' has no 'Adamm'"),
        (["--opt", "torch.nn:Linear"], "'torch.nn:Linear' is no torch.optim.Optimizer"),
    ],
)
def test_values_that_cannot_be(folder: Path, more: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(folder, *more)


def test_short_names_are_those_of_the_tests() -> None:
    assert {module for module, _ in MODELS.values()} == {
        *("default", "seq_rnn", "transformer")
    }
