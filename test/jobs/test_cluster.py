"""Waiting for a cluster's jobs, whatever happens to them, with a made-up scheduler."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from espnet.jobs import cluster
from espnet.jobs.cluster import NoAnswerError, Scheduler, Status, run_on
from espnet.jobs.grammar import parse
from espnet.jobs.launcher import run
from espnet.jobs.outcome import Outcome
from espnet.utils.errors import UserError

Statuses = Callable[[str, Sequence[int]], dict[int, Status]]
RUNNING = Status(alive=True)
# starts the jobs for which there is no file skip.N
SUBMIT = """#!/bin/bash
echo "$@" > submitted
for n in $(seq "$1" "$2"); do
    [ -e "skip.${n}" ] || n=${n} bash "${@: -1}" > /dev/null 2>&1 &
done
echo "accepted 7"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and a launcher without patience."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "submit").write_text(SUBMIT)
    (tmp_path / "submit").chmod(0o755)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/made-up.conf").write_text("command ./submit\n")
    for name, value in (("SETTLE", 0.1), ("LATENCY", 0.4), ("ASK", (0.05, 0.05))):
        monkeypatch.setattr(cluster, name, value)
    monkeypatch.setattr(sys, "argv", ["made-up.pl"])
    return tmp_path


def scheduler(statuses: Statuses) -> Scheduler:
    return Scheduler(
        title="Made Up",
        config="made-up.conf",
        array_job="${n}",
        arguments=lambda rules, request, log: [str(request.first), str(request.last)],
        identity=r"accepted (\d+)",
        job_id=lambda identity, job: f"{identity}.{job}",
        statuses=statuses,
        cancel="touch cancelled",
        more="ask {}",
    )


def outcomes(statuses: Statuses, *words: str) -> dict[int, Outcome]:
    return run_on(scheduler(statuses), parse(words))


def everything_runs(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
    return dict.fromkeys(jobs, RUNNING)


def test_exit_codes_come_from_the_jobs(folder: Path) -> None:
    ended = outcomes(everything_runs, "JOB=1:3", "log/x.JOB.log", "exit", "$((JOB-1))")
    assert {job: end.code for job, end in sorted(ended.items())} == {1: 0, 2: 1, 3: 2}
    assert ended[1].reason == ""
    assert ended[2].reason == "was Made Up job 7.2"
    assert (folder / "submitted").read_text() == "1 3 q/x.sh\n"
    assert [path.name for path in (folder / "q").iterdir()] == ["x.sh"]
    assert (folder / "q/x.sh").read_text().splitlines()[-1] == (
        "# submitted with: ./submit 1 3 q/x.sh"
    )


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (None, None, "has left the queue without an exit code: .*; 'ask 7.2' may tell"),
        (Status(alive=False), None, "has left the queue without an exit code"),
        (Status(alive=False, words="was lost"), None, r"was lost \(it was Made Up job"),
        (Status(alive=False, code=137), 137, "was Made Up job 7.2"),
    ],
)
def test_a_job_that_leaves_no_exit_code_is_not_waited_for(
    folder: Path, status: Status | None, code: int | None, reason: str
) -> None:
    (folder / "skip.2").touch()

    def statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
        there = {} if status is None else {2: status}
        return {**everything_runs(identity, [1]), **there}

    ended = outcomes(statuses, "JOB=1:2", "x.JOB.log", "sleep", "0.2")
    assert ended[1] == Outcome(0)
    assert ended[2].code == code
    assert re.match(reason, ended[2].reason)


def test_what_the_scheduler_wrote_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "skip.1").touch()

    def statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
        (folder / "q/x.log").write_text("node on fire\n\n")
        return {1: Status(alive=False, words="was lost with its node")}

    made_up = scheduler(statuses)
    assert run(["x.log", "true"], lambda request: run_on(made_up, request)) == 1
    assert capsys.readouterr().err.splitlines() == [
        "made-up.pl: job failed, log is in x.log",
        "made-up.pl: the last lines of x.log:",
        "made-up.pl:     (not readable: No such file or directory)",
        "made-up.pl: this job was lost with its node (it was Made Up job 7)",
        "made-up.pl: Made Up wrote to q/x.log:",
        "made-up.pl:     node on fire",
        "made-up.pl: run it again with: made-up.pl x.log true",
    ]


def test_a_job_that_cannot_start_is_cancelled(folder: Path) -> None:
    (folder / "skip.2").touch()

    def statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
        return {1: RUNNING, 2: Status(alive=True, words="will not start", stuck=True)}

    ended = outcomes(statuses, "JOB=1:2", "x.JOB.log", "sleep", "0.2")
    assert ended[1] == Outcome(0)
    assert ended[2].reason.startswith("will not start; it was cancelled (it was Made")
    assert (folder / "7.2").exists()  # touch got its name
    assert not (folder / "7").exists()


def test_a_scheduler_that_does_not_answer_is_asked_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
        raise NoAnswerError("connection refused")

    assert outcomes(statuses, "x.log", "sleep", "2") == {1: Outcome(0)}
    assert capsys.readouterr().err == (
        "made-up.pl: Made Up: does not answer, still waiting for the jobs: connection "
        "refused\n"
    )


def test_a_slow_file_system_is_waited_for(folder: Path) -> None:
    """The scheduler has forgotten a job before its exit code can be seen."""
    ended = outcomes(lambda identity, jobs: {}, "x.log", "sleep", "0.3")
    assert ended == {1: Outcome(0)}


def test_a_job_that_is_run_again_after_a_signal_is_not_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when it makes room for another one and goes back into the queue."""
    command = (
        "[",
        "-e",
        "again",
        "]",
        "||",
        "{",
        "touch",
        "again;",
        "kill",
        "$$;",
        "}",
    )

    def statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
        subprocess.Popen(["bash", "-c", "sleep 0.3; bash q/x.sh"])
        return {1: Status(alive=True, waiting=True)}

    assert outcomes(statuses, "x.log", *command) == {1: Outcome(0)}
    assert "Made Up: 7 was put back into the queue" in capsys.readouterr().err


def test_why_a_signal_came(folder: Path) -> None:
    def statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
        return {1: Status(alive=False, words="was ended at its time limit")}

    (ended,) = outcomes(statuses, "x.log", "kill", "$$").values()
    assert ended.code == 143
    assert ended.reason == "was ended at its time limit (it was Made Up job 7)"


@pytest.mark.parametrize(
    ("submit", "message"),
    [
        (
            "echo no such queue >&2; exit 1",
            "did not take the job (exit code 1): no such",
        ),
        ("exit 3", "did not take the job (exit code 3): it said nothing"),
        ("echo welcome", "did not take the job (exit code 0): welcome"),
    ],
)
def test_a_submission_that_fails(folder: Path, submit: str, message: str) -> None:
    (folder / "submit").write_text(f"#!/bin/bash\n{submit}\n")
    with pytest.raises(UserError) as error:
        outcomes(everything_runs, "x.log", "true")
    assert message in str(error.value)
    assert "the command was: ./submit 1 1 q/x.sh" in str(error.value)
    assert [path.name for path in (folder / "q").iterdir()] == ["x.sh"]


def test_a_machine_without_the_scheduler(folder: Path) -> None:
    (folder / "conf/made-up.conf").write_text("command sbutch\n")
    with pytest.raises(UserError, match="sbutch: .*jobs to Made Up.*cmd_backend"):
        outcomes(everything_runs, "x.log", "true")


@pytest.mark.parametrize(
    ("log", "script"),
    [
        ("exp/x/log/decode.JOB.log", "exp/x/q/decode.sh"),
        ("exp/x/decode.JOB.log", "exp/x/q/decode.sh"),
        ("d/JOB/log/1.JOB.log", "d/all/q/job_1.sh"),
        ("JOB.log", "q/all.sh"),
    ],
)
def test_where_the_script_is(folder: Path, log: str, script: str) -> None:
    outcomes(everything_runs, "JOB=1:2", log, "true")
    assert (folder / script).exists()
