"""Recipes run in a copy, so that nobody's experiments are touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ("data", "dump", "exp", "fbank", "downloads", "tensorboard")

TINY = {
    "train": """etype: vggblstmp
elayers: 1
eunits: 8
eprojs: 8
dlayers: 1
dunits: 8
atype: dot
adim: 8
mtlalpha: 0.5
batch-size: 4
opt: adam
epochs: 1
num-save-attention: 0
num-save-ctc: 0
skip-bad-utterances: true
""",
    "decode": "batchsize: 4\nbeam-size: 2\nmaxlenratio: 0.3\nctc-weight: 0.5\n",
    "lm": "layer: 1\nunit: 8\nopt: adam\nbatchsize: 4\nepoch: 1\n",
}


def environment() -> dict[str, str]:
    """As a user's, with the Python that runs the tests first."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return {**kept, "PATH": path}


def run_in(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["./run.sh", *map(str, arguments)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
    )


def copy_recipes(target: Path) -> None:
    """All recipes (some link to others) in a new tree, without what they generated."""
    for name in ("espnet", "utils"):
        (target / name).symlink_to(ROOT / name)
    ignore = shutil.ignore_patterns(*GENERATED)
    shutil.copytree(ROOT / "egs", target / "egs", symlinks=True, ignore=ignore)


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def tiny_options(recipe: Path) -> tuple[str, ...]:
    """Options of run.sh that name configs of tiny models, which are written there."""
    options: list[str] = []
    for kind, text in TINY.items():
        path = recipe / f"tiny_{kind}.yaml"
        path.write_text(text, encoding="utf-8")
        options += [f"--{kind}-config", path.name]
    return tuple(options)
