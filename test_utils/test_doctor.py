"""``make doctor`` on a machine where everything is in order: the one of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_machine_in_order_has_a_line_for_each_check() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.doctor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    checks = [line.split()[:2] for line in done.stdout.splitlines()]
    names = ("python", "torch", "gpu", "libraries", "audio", "commands", "optional")
    assert checks == [["ok", name] for name in names]
