"""``lm_train.py`` as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "espnet" / "bin" / "lm_train.py"


def call(folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, COMMAND, *map(str, args)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def test_help_is_quick_and_shows_what_belongs_to_the_choices() -> None:
    """Without torch; optimizer, schedulers and model bring their own options."""
    code = (
        "import sys\n"
        "from espnet.bin.lm_train import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    choices = ("--model-module", "transformer", "--opt", "adam")
    choices += ("--schedulers", "lr=cosine", "--help")
    found = subprocess.run(
        [sys.executable, "-c", code, *choices], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    for flag in ("--att-unit", "--beta1", "--lr-cosine-total", "--maxlen", "-c GRADC"):
        assert flag in found.stdout, flag
    assert "--tie-weights" in found.stdout and "--rho" not in found.stdout


def test_trains_from_a_config(tmp_path: Path) -> None:
    """As recipes call it; ``layer`` and the like come from the YAML file."""
    (tmp_path / "units.txt").write_text("<unk> 1\na 2\nb 3\n")
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text("a b a\nb\na a b\nz b a\n")
    (tmp_path / "lm.yaml").write_text(
        "layer: 1\nunit: 5\nopt: adam\nbatchsize: 2\nepoch: 9\nmaxlen: 40\n"
        "schedulers: [lr=noam]\nlr-noam-warmup: 4\n"
    )
    found = call(
        tmp_path,
        *("--config", "lm.yaml", "--ngpu", 0, "--backend", "pytorch", "--verbose", 1),
        *("--outdir", "exp/lm", "--tensorboard-dir", "tensorboard/lm", "--resume"),
        *("--train-label", "train.txt", "--valid-label", "valid.txt"),
        *("--test-label", "test.txt", "--dict", "units.txt", "--epoch", 2),
    )
    assert found.returncode == 0, found.stderr
    assert "test perplexity" in found.stdout.splitlines()[-1]
    assert "lm_train.py --config lm.yaml" in found.stderr
    assert "train.txt: 4 sentences, 10 tokens, 10.00 % of them not in" in found.stderr
    args = json.loads((tmp_path / "exp/lm/model.json").read_text())
    assert (args["unit"], args["lr_noam_warmup"], args["epoch"]) == (5, 4, 2)
    assert (tmp_path / "exp/lm/rnnlm.model.best").is_symlink()
    assert list((tmp_path / "tensorboard/lm").iterdir())
    assert (tmp_path / "exp/lm/loss.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["--unti", "3"], 2, "unknown option '--unti' (did you mean 'unit'?)"),
        (["--att-unit", "3"], 2, "unknown option '--att-unit'"),
        (["--opt", "rmsprop"], 2, "--opt: 'rmsprop' is none of sgd, adam"),
        (["--model-module", "lstm"], 1, "model-module: 'lstm' is none of default, seq"),
        (["--batchsize", "0"], 1, "batchsize: 0 must be 1 or more"),
        ([], 1, "units.txt: dictionary cannot be read"),
    ],
)
def test_mistakes_end_with_one_line(
    tmp_path: Path, args: list[str], status: int, message: str
) -> None:
    found = call(
        tmp_path,
        *("--dict", "units.txt", "--outdir", "out", "--ngpu", "0"),
        *("--train-label", "a", "--valid-label", "b", *args),
    )
    assert found.returncode == status
    assert message in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
