"""The command asr_stream.py as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "espnet" / "bin" / "asr_stream.py")]


def test_help_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from espnet.bin.asr_stream import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    for flag in ("--block", "--left-context", "--right-context", "--fs", "--realtime"):
        assert flag in found.stdout


def test_mistakes_end_with_one_line(tmp_path: Path) -> None:
    for args, message in (
        (["--block", "0"], "--block: 0.0 must be above 0"),
        (["--model", "nowhere"], "nowhere: no such file or folder"),
    ):
        found = subprocess.run(
            [*COMMAND, "--model", "m", *args],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert found.returncode == 1
        assert message in found.stderr
        assert len(found.stderr.strip().splitlines()) == 1
