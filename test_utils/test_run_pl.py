"""run.pl and stdout.pl as recipes call them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[1] / "utils"
DATE = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \d{4}"

Result = subprocess.CompletedProcess[str]
Launcher = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Launcher:
    """Call a launcher in an empty folder, without PYTHONPATH."""

    def call(*words: str, program: str = "run.pl") -> Result:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = [sys.executable, str(UTILS / program), *words]
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True
        )

    return call


def test_log_has_command_times_output_and_code(run: Launcher, tmp_path: Path) -> None:
    result = run("new/x.log", "echo", "out;", "echo", "err", ">&2")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    lines = (tmp_path / "new/x.log").read_text().splitlines()
    assert lines[0] == "# echo out; echo err >&2"
    assert re.fullmatch(f"# Started at {DATE}", lines[1])
    assert lines[2:5] == ["#", "out", "err"]
    assert re.fullmatch(r"# Accounting: time=\d+ threads=1", lines[5])
    ended = rf"# Ended \(code 0\) at {DATE}, elapsed time \d+ seconds"
    assert re.fullmatch(ended, lines[6])
    assert len(lines) == 7


def test_every_job_runs_with_its_number(run: Launcher, tmp_path: Path) -> None:
    result = run("JOB=2:4", "x.JOB.log", "echo", "job JOB of 3", ">out.JOB")
    assert result.returncode == 0
    assert {p.name: p.read_text() for p in tmp_path.glob("out.*")} == {
        f"out.{n}": f"job {n} of 3\n" for n in (2, 3, 4)
    }
    assert len(list(tmp_path.glob("x.?.log"))) == 3


def test_operators_pass_and_a_pipe_fails_with_its_first_command(run: Launcher) -> None:
    assert run("x.log", "echo", "a b", "|", "grep", "-q", "a").returncode == 0
    assert run("x.log", "false", "|", "cat").returncode == 1


def test_a_line_longer_than_one_argument_may_be(run: Launcher, tmp_path: Path) -> None:
    words = ["x" * 100000] * 3
    assert run("x.log", "echo", *words).returncode == 0
    assert " ".join(words) in (tmp_path / "x.log").read_text().splitlines()


def test_stdin_is_empty(run: Launcher, tmp_path: Path) -> None:
    assert run("x.log", "cat").returncode == 0
    assert (tmp_path / "x.log").read_text().splitlines()[3].startswith("# Accounting")


def test_failure_tells_log_last_lines_reason_and_how_to_rerun(
    run: Launcher, tmp_path: Path
) -> None:
    code = "seq 30; kill -9 $$"
    result = run("--mem", "1G", "x.log", "bash", "-c", code)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[0] == "run.pl: job failed, log is in x.log"
    assert lines[1] == "run.pl: the last lines of x.log:"
    assert "run.pl:     30" in lines
    assert "run.pl:     3" not in lines
    assert lines[-2] == (
        "run.pl: this job ended with exit code 137: killed by signal 9 (SIGKILL), "
        "probably out of memory"
    )
    assert lines[-1].startswith("run.pl: run it again with: ")
    assert lines[-1].endswith("run.pl --mem 1G x.log bash -c '" + code + "'")
    assert "# Ended (code 137; signal 9) at" in (tmp_path / "x.log").read_text()


def test_failure_of_some_jobs(run: Launcher, tmp_path: Path) -> None:
    (tmp_path / "path.sh").touch()
    result = run("JOB=1:4", "d/x.JOB.log", "[", "JOB", "-gt", "2", "]")
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[0] == "run.pl: 2 / 4 failed, log is in d/x.*.log (JOB = 1, 2)"
    assert "run.pl:     (it printed nothing)" in lines
    assert "run.pl: run it again with: . ./path.sh; " in lines[-1]
    assert lines[-1].endswith("run.pl JOB=1 d/x.JOB.log '[' JOB -gt 2 ']'")


def test_a_signal_to_the_jobs_shell_is_in_the_log(
    run: Launcher, tmp_path: Path
) -> None:
    assert run("x.log", "kill", "-15", "$$").returncode == 1
    assert "# Ended (code 143; signal 15) at" in (tmp_path / "x.log").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.log"], "run.pl: error: the command is missing; usage:"),
        (["x.txt/x.log", "true"], "cannot run the job: x.txt: "),
        (["--gpu", "one", "x.log", "true"], "--gpu wants a whole number, got 'one'"),
    ],
)
def test_mistakes(
    run: Launcher, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "x.txt").touch()
    result = run(*words)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "program",
    [
        "run.pl",
        "stdout.pl",
        "slurm.pl",
        "queue.pl",
        "queue-freegpu.pl",
        "pbs.pl",
        "ssh.pl",
    ],
)
def test_help(run: Launcher, program: str) -> None:
    result = run("--help", program=program)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: {program} [options] [JOB=1:N] LOG COMMAND")
    about = (UTILS / program).read_text().split('"""')[1]
    assert f"\n\n{about}\n\n" in result.stdout


def test_stdout_pl_prints_the_output_too(run: Launcher, tmp_path: Path) -> None:
    result = run("x.log", "echo", "a;", "echo", "b", ">&2", program="stdout.pl")
    assert result.stdout == "a\nb\n"
    assert "#\na\nb\n# Accounting" in (tmp_path / "x.log").read_text()


def test_jobs_run_at_the_same_time_up_to_the_limit(run: Launcher) -> None:
    """Each of three jobs waits for a file that the next one makes."""
    wait = "touch JOB; until [ -e $(((JOB % 3) + 1)) ]; do sleep 0.02; done"
    assert run("-tc", "3", "JOB=1:3", "x.JOB.log", "eval", wait).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_launcher_ends_its_jobs(tmp_path: Path, number: int) -> None:
    script = "echo $$ >pid.JOB; sleep 99 & sleep 99"
    words = ["-tc", "2", "JOB=1:5", "x.JOB.log", "eval", script]
    process = subprocess.Popen(
        [sys.executable, UTILS / "run.pl", *words],
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    pids = [_when_written(tmp_path / f"pid.{job}") for job in (1, 2)]
    process.send_signal(number)
    assert process.wait(10) == -number
    assert [pid for pid in pids if _has_processes(pid)] == []
    assert not (tmp_path / "pid.3").exists()
    assert "signal 15" in (tmp_path / "x.1.log").read_text()


def _has_processes(group: int) -> bool:
    """Whether a process of the group runs; one that is dead but not reaped does not."""
    listing = subprocess.run(["ps", "-eo", "pgid,stat"], capture_output=True, text=True)
    rows = [line.split() for line in listing.stdout.splitlines()[1:]]
    return any(row[0] == str(group) and row[1][0] != "Z" for row in rows)


def _when_written(path: Path) -> int:
    deadline = time.time() + 10
    while time.time() < deadline:
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{path} was not written")
