"""``average_checkpoints.py``, and what recipes do with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = "average_checkpoints.py"
ALL = ("--snapshots", "snapshot.ep.1", "snapshot.ep.2", "snapshot.ep.3")
OUT = ("--backend", "pytorch", "--out", "results/model.avg.best")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for epoch in (1, 2, 3):
        content = {"model": {"w": torch.full((2,), float(epoch))}}
        torch.save(content, tmp_path / f"snapshot.ep.{epoch}")
    log = ", ".join(
        f'{{"epoch": {epoch}, "validation/main/loss": {loss}}}'
        for epoch, loss in ((1, 5.0), (2, 7.0), (3, 6.0))
    )
    (tmp_path / "log").write_text(f"[{log}]")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "mean", "said"),
    [
        ((), 2.0, "the last 3 (10 were wanted)"),
        (("--num", 2), 2.5, "the last 2 of 3"),
        (("--num", 2, "--log"), 2.5, "the last 2 of 3"),
        (("--num", 1, "--max-epoch", 2), 2.0, "the last 1 of 2"),
        (
            ("--num", 2, "--log", "log", "--metric", ""),
            2.0,
            "the best 2 of 3 by validation loss: epochs 1 (5), 3 (6)",
        ),
        (
            ("--num", 1, "--log", "log", "-m", "loss"),
            1.0,
            "the best 1 of 3 by validation loss: epochs 1 (5)",
        ),
    ],
)
def test_writes_the_mean(
    folder: Path, stdout_of: Callable[..., str], options: tuple, mean: float, said: str
) -> None:
    printed = stdout_of(SCRIPT, *ALL, *OUT, *options)
    assert printed == f"results/model.avg.best: averaged {said}\n"
    content = torch.load(folder / "results" / "model.avg.best", weights_only=True)
    assert {name: value.tolist() for name, value in content.items()} == {
        "w": [mean] * 2
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--num", 0), "num: 0 must be 1 or more"),
        (("--metric", "acc"), "metric: acc chooses epochs of a log; give --log"),
        (("--log", "log", "--metric", "acc"), "has no validation acc; it has loss"),
        (("--out", "snapshot.ep.2"), "out: snapshot.ep.2 is one of the snapshots"),
        (("--snapshots", "snapshot.ep.9"), "snapshot.ep.9: no such file"),
        (("--snapshots", "log"), "log: is not a model: torch.save did not write it"),
    ],
)
def test_mistakes(
    folder: Path, error_of: Callable[..., str], options: tuple, words: str
) -> None:
    said = error_of(SCRIPT, *ALL, *OUT, *options)
    assert said.startswith(f"{SCRIPT}: error: ") and words in said
    assert len(said.splitlines()) == 1
    assert not (folder / "results").exists()
    assert len(list(folder.iterdir())) == 4


def test_old_snapshots_want_to_be_trusted(
    folder: Path, error_of: Callable[..., str], stdout_of: Callable[..., str]
) -> None:
    content = torch.load(folder / "snapshot.ep.3") | {"trainer": Path("anything")}
    torch.save(content, folder / "snapshot.ep.3")
    said = error_of(SCRIPT, *ALL, *OUT)
    assert "holds more than tensors" in said and "--trust-checkpoint" in said
    assert "averaged" in stdout_of(SCRIPT, *ALL, *OUT, "--trust-checkpoint")


def test_chainer_is_not_built(folder: Path, run: Callable) -> None:
    done = run(SCRIPT, *ALL, "--out", "x", "--backend", "chainer")
    assert done.returncode == 2
    assert "'chainer'" in done.stderr and "pytorch" in done.stderr


# ---- stage 5 of a recipe


@pytest.fixture
def stage_5(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs yesno's stage 5 up to the decoding, with the model that it would take."""
    for name in ("espnet", "utils"):
        (tmp_path / name).symlink_to(ROOT / name)
    recipe = tmp_path / "egs" / "yesno" / "asr1"
    recipe.mkdir(parents=True)
    (recipe / "utils").symlink_to("../../../utils")
    for name in ("path.sh", "cmd.sh", "run.sh", "conf"):
        source = ROOT / "egs" / "yesno" / "asr1" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, recipe / name)
    text = (recipe / "run.sh").read_text(encoding="utf-8")
    stub = 'decode_set() { echo "with ${recog_model}"; }\nmain "$@"'
    (recipe / "run.sh").write_text(text.replace('main "$@"', stub), encoding="utf-8")
    (recipe / "exp" / "train_nodev_pytorch_train" / "results").mkdir(parents=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["./run.sh", "--stage", "5", *map(str, options)],
            cwd=recipe,
            env={**kept, "PATH": path},
            capture_output=True,
            encoding="utf-8",
        )

    return run


@pytest.mark.parametrize(
    ("options", "model", "message"),
    [
        ((), "model.last10.avg.best", "averaged the last 2 (10 were wanted)"),
        (("--n-average", 1), "model.last1.avg.best", "averaged the last 1 of 2"),
        (
            ("--n-average", 1, "--use-valbest-average", "true"),
            "model.val1.avg.best",
            "averaged the best 1 of 2 by validation loss: epochs 1 (3)",
        ),
        (("--n-average", 0), "model.acc.best", ""),
        (("--recog_model", "snapshot.ep.1"), "snapshot.ep.1", ""),
    ],
)
def test_what_a_recipe_decodes_with(
    tmp_path: Path, stage_5: Callable, options: tuple, model: str, message: str
) -> None:
    (results,) = tmp_path.glob("egs/yesno/asr1/exp/*/results")
    for epoch in (1, 2):
        torch.save({"model": {"w": torch.ones(2)}}, results / f"snapshot.ep.{epoch}")
    torch.save({"w": torch.ones(2)}, results / "model.acc.best")
    rows = [{"epoch": n, "validation/main/loss": n + 2} for n in (1, 2)]
    (results / "log").write_text(json.dumps(rows))
    done = stage_5(*options)
    assert f"with {model}\n" in done.stdout, done.stderr
    assert (results / model).is_file()
    assert message in done.stdout
    assert ("averaged" in done.stdout) == bool(message)


def test_a_recipe_without_snapshots_says_so(stage_5: Callable) -> None:
    done = stage_5()
    assert done.returncode == 1
    assert "results has no snapshot.ep.N to average; train the network" in done.stderr
    assert "with " not in done.stdout
