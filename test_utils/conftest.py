"""How tests call the scripts of ``utils/``: as a recipe does, in its directory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[1] / "utils"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run("x.py", "--flag", stdin="text")`` in ``tmp_path``, without PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["LC_ALL"] = "C"  # as path.sh has it

    def call(
        script: str, *arguments: object, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(UTILS / script), *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
        )

    return call


@pytest.fixture
def stdout_of(run: Run) -> Callable[..., str]:
    """Like ``run``; the command must succeed, and what it prints is returned."""

    def call(script: str, *arguments: object, stdin: str = "") -> str:
        done = run(script, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture
def error_of(run: Run) -> Callable[..., str]:
    """Like ``run``; the command must fail without a traceback or output."""

    def call(script: str, *arguments: object, stdin: str = "") -> str:
        done = run(script, *arguments, stdin=stdin)
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert not done.stdout
        return done.stderr

    return call
