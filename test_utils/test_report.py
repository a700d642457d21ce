"""utils/report.py as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPORT = Path(__file__).resolve().parents[1] / "utils" / "report.py"


def call(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPORT), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True)


def test_writes_the_page(tmp_path: Path) -> None:
    for side, text in (("ref", "a b (s-u1)\n"), ("hyp", "a c (s-u1)\n")):
        (tmp_path / f"{side}.trn").write_text(text)
    (tmp_path / "data.json").write_text('{"utts": {"u1": {"output": [{}]}}}')
    found = call(tmp_path, "--title", "Mine & yours")
    assert found.returncode == 0, found.stderr
    assert f"report: {tmp_path}/report.html" in found.stdout
    text = (tmp_path / "report.html").read_text()
    assert "<title>Mine &amp; yours</title>" in text and "50.0 %" in text
    assert call(tmp_path, "--out", tmp_path / "x.html").returncode == 0
    assert (tmp_path / "x.html").is_file()


def test_a_directory_that_was_not_scored(tmp_path: Path) -> None:
    found = call(tmp_path)
    assert found.returncode == 1
    assert "ref.wrd.trn: No such file or directory; score the" in found.stderr
    assert len(found.stderr.splitlines()) == 1
