"""The script that runs a job on another machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from espnet.jobs.grammar import parse
from espnet.jobs.script import job_script

ENVIRONMENT = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "8", "SECRET": "x"}
ENVIRONMENT |= {"GOMP_SPINCOUNT": "300"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "done").mkdir()
    return tmp_path


def write(words: list[str], job: str = "1", lifeline: bool = False) -> str:
    text = job_script(parse(words), job, "done", lifeline, ENVIRONMENT)
    Path("x.sh").write_text(text)
    return text


def start() -> subprocess.Popen[bytes]:
    """Elsewhere, and without our environment."""
    env = {"PATH": os.environ["PATH"], "n": "3"}
    return subprocess.Popen(["bash", os.path.abspath("x.sh")], cwd="/", env=env)


def test_log_and_exit_code(folder: Path) -> None:
    words = ["echo", "job JOB", "|", "cat;", "exit", "5"]
    write(["JOB=1:9", "new/x.JOB.log", *words], "${n}")
    assert start().wait() == 1
    assert (folder / "done/3").read_text() == "5\n"
    assert [path.name for path in (folder / "done").iterdir()] == ["3"]
    lines = (folder / "new/x.3.log").read_text().splitlines()
    assert lines[0] == '# echo "job 3" | cat; exit 5'
    assert re.match(r"# Running on \S+$", lines[1])
    assert re.match(r"# Started at \w{3} \w{3} [ \d]\d ", lines[2])
    assert lines[3] == "#"
    assert lines[4] == "job 3"
    assert re.match(r"# Accounting: time=\d+ threads=1$", lines[-2])
    assert re.match(r"# Ended \(code 5\) at .*, elapsed time \d+ seconds$", lines[-1])


def test_what_was_set_for_the_job_goes_along(folder: Path) -> None:
    write(["x.log", "echo", "$OMP_NUM_THREADS", "$GOMP_SPINCOUNT", "${SECRET-none}"])
    assert start().wait() == 0
    assert "\n1 300 none\n" in (folder / "x.log").read_text()


def test_the_number_is_filled_in_within_quotes_too(folder: Path) -> None:
    write(["JOB=1:9", "x.JOB.log", "python3", "-c", 'print("JOB", "it is")'], "${n}")
    assert start().wait() == 0
    assert "\n3 it is\n" in (folder / "x.3.log").read_text()


def test_environment(folder: Path) -> None:
    (folder / "path.sh").write_text("export OMP_NUM_THREADS=2 PATHED=yes\n")
    text = write(["--num-threads", "4", "x.log", "echo", "$OMP_NUM_THREADS", "$PATHED"])
    assert "SECRET" not in text
    assert start().wait() == 0
    log = (folder / "x.log").read_text()
    assert "\n4 yes\n" in log
    assert "threads=4\n" in log


def test_a_line_longer_than_one_argument_may_be(folder: Path) -> None:
    words = ["x" * 100000] * 3
    write(["x.log", "echo", *words])
    assert start().wait() == 0
    assert " ".join(words) in (folder / "x.log").read_text().splitlines()


def test_a_signal_to_the_script_ends_the_job_and_is_noted(folder: Path) -> None:
    write(["x.log", "sleep", "60"])
    process = start()
    wait_for(folder / "x.log", "#\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 1
    assert (folder / "done/1").read_text() == "143\n"
    assert "# Ended (code 143; signal 15) at" in (folder / "x.log").read_text()


def test_the_job_ends_with_its_lifeline(folder: Path) -> None:
    write(["x.log", "echo", "$$;", "sleep", "60", "&", "sleep", "61"], lifeline=True)
    script = os.path.abspath("x.sh")
    process = subprocess.Popen(["bash", script], stdin=subprocess.PIPE, cwd="/")
    number = int(wait_for(folder / "x.log", r"\n(\d+)\n"))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 1
    assert (folder / "done/1").read_text() == "143\n"
    listing = ["ps", "-o", "stat=", "--no-headers", "-g", str(number)]
    left = subprocess.run(listing, capture_output=True, text=True).stdout.split()
    assert [state for state in left if state[0] != "Z"] == []


def test_a_job_with_a_lifeline_ends_by_itself(folder: Path) -> None:
    write(["x.log", "exit", "3"], lifeline=True)
    process = subprocess.Popen(["bash", "x.sh"], stdin=subprocess.PIPE)
    assert process.wait(10) == 1
    assert (folder / "done/1").read_text() == "3\n"


def wait_for(path: Path, pattern: str) -> str:
    deadline = time.time() + 10
    while time.time() < deadline:
        match = re.search(pattern, path.read_text()) if path.exists() else None
        if match:
            return match[match.lastindex or 0]
        time.sleep(0.02)
    raise AssertionError(f"{path} has no {pattern}")
