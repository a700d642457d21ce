"""Recipes run in a copy, so that nobody's experiments are touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ("data", "dump", "exp", "fbank", "downloads", "tensorboard")


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
