"""What the schedulers' own commands print, as it is understood.

The tables are shaped as the programs of Slurm 22.05, Grid Engine 8.1, OpenPBS 20 and
Torque 6 print them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from espnet.jobs import cluster
from espnet.jobs.cluster import NoAnswerError, Status, ask
from espnet.jobs.pbs import PBS
from espnet.jobs.sge import SGE
from espnet.jobs.slurm import SLURM

Program = Callable[..., None]
RUNS = Status(alive=True)
WAITS = Status(alive=True, waiting=True)
ENDED = Status(alive=False)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """``program("squeue", "what it prints")`` is found first."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def make(name: str, out: str = "", err: str = "", code: int = 0) -> None:
        (tmp_path / "out").write_text(out)
        (tmp_path / "err").write_text(err)
        text = f"cd {tmp_path}; echo $* >words; cat out; cat err >&2; exit {code}\n"
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}")
        (tmp_path / name).chmod(0o755)

    return make


def test_slurm(program: Program, tmp_path: Path) -> None:
    program(
        "squeue",
        "12_8|PENDING|0|Resources|\n"
        "12_9|PENDING|0|launch failed requeued held|\n"
        "12_1|RUNNING|0|None|\n"
        "12_2|COMPLETING|0|None|\n"
        "12_3|COMPLETED|0|None|\n"
        "12_4|FAILED|256|NonZeroExitCode|\n"
        "12_5|FAILED|9|JobLaunchFailure|\n"
        "12_6|CANCELLED|0|None|\n"
        "12_7|FAILED|0:9|JobLaunchFailure|\n",
    )
    statuses = SLURM.statuses("12", range(1, 10))
    assert statuses[8].waiting and not statuses[8].stuck
    assert statuses[9].stuck
    assert statuses[9].words == (
        "will not start: Slurm's reason is launch_failed_requeued_held"
    )
    assert statuses[1] == statuses[2] == RUNS
    assert statuses[3] == statuses[4] == ENDED
    assert statuses[5] == statuses[7] == Status(alive=False, code=137)
    assert statuses[6] == Status(alive=False, words="was cancelled")
    assert "--jobs 12 " in (tmp_path / "words").read_text()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("TIMEOUT", "was ended at its time limit; ask for more with --time"),
        ("OUT_OF_MEMORY", "more memory than it had asked for; ask for more with --mem"),
        ("NODE_FAIL", "was lost with its node"),
        ("PREEMPTED", "was ended to make room for a job of higher priority"),
    ],
)
def test_slurm_says_why(program: Program, state: str, words: str) -> None:
    program("squeue", f"12|{state}|0|None|\n")
    (status,) = SLURM.statuses("12", [5]).values()
    assert not status.alive
    assert words in status.words


def test_slurm_has_forgotten(program: Program) -> None:
    error = "slurm_load_jobs error: Invalid job id specified\n"
    program("squeue", err=error, code=1)
    assert SLURM.statuses("12", [1]) == {}


def test_grid_engine(program: Program) -> None:
    head = (
        "job-ID  prior   name  user  state submit/start at  queue  slots ja-task-ID\n"
    )
    program(
        "qstat",
        f"{head}{'-' * 80}\n"
        "  7 0.55 x.sh me r   11/23/2026 09:00:00 all.q@node1.example 1 2\n"
        "  7 0.55 x.sh me dr  11/23/2026 09:00:00 all.q@node2.example 1 3\n"
        "  7 0.55 x.sh me Eqw 11/23/2026 09:00:00                     4 4\n"
        "  7 0.00 x.sh me qw  11/23/2026 09:00:00                     1 5-9:2,10\n"
        "  8 0.55 y.sh me r   11/23/2026 09:00:00 all.q@node1.example 4\n"
        "  9 0.00 z.sh me qw  11/23/2026 09:00:00                     4\n",
    )
    statuses = SGE.statuses("7", range(1, 11))
    assert statuses[2] == RUNS
    assert statuses[3] == Status(alive=False, words="was deleted")
    assert statuses[4].stuck
    assert statuses[4].words == "could not be started: Grid Engine shows it as Eqw"
    waiting = {job for job, status in statuses.items() if status == WAITS}
    assert waiting == {5, 7, 9, 10}
    assert SGE.statuses("8", [6]) == {6: RUNS}
    assert SGE.statuses("9", [6]) == {6: WAITS}
    assert SGE.statuses("10", [6]) == {}


def test_openpbs(program: Program, tmp_path: Path) -> None:
    program(
        "qstat",
        "Job id            Name             User              Time Use S Queue\n"
        "----------------  ---------------- ----------------  -------- - -----\n"
        "12[].server       x.sh             me                       0 B workq\n"
        "12[1].server      x.sh             me                00:00:00 X workq\n"
        "12[2].server      x.sh             me                00:00:00 R workq\n"
        "12[3].server      x.sh             me                       0 Q workq\n",
    )
    statuses = PBS.statuses("12[].server", range(1, 5))
    assert statuses == {1: ENDED, 2: RUNS, 3: WAITS}
    assert (tmp_path / "words").read_text() == "-t 12[].server\n"


def test_torque(program: Program) -> None:
    program("qstat", "12.server x.sh me 00:00:01 C batch\n")
    assert PBS.statuses("12.server", [4]) == {4: ENDED}
    program("qstat", "12.server x.sh me 00:00:01 R batch\n")
    assert PBS.statuses("12.server", [4]) == {4: RUNS}


@pytest.mark.parametrize(
    "error",
    [
        "qstat: Unknown Job Id 12.server",
        "qstat: Unknown Job Id Error 12.server",
        "qstat: 12.server Job has finished, use -x or -H to obtain historical job info",
    ],
)
def test_pbs_has_forgotten(program: Program, error: str) -> None:
    program("qstat", err=error, code=153)
    assert PBS.statuses("12.server", [1]) == {}


def test_names_of_jobs() -> None:
    assert SLURM.job_id("12", 3) == "12_3"
    assert SGE.job_id("12", 3) == "12.3"
    assert PBS.job_id("12[].server", 3) == "12[3].server"


@pytest.mark.parametrize(
    ("err", "code", "message"),
    [("cannot connect", 1, "cannot connect"), ("", 3, "exit code 3")],
)
def test_no_answer(program: Program, err: str, code: int, message: str) -> None:
    program("squeue", err=err, code=code)
    with pytest.raises(NoAnswerError, match=message):
        SLURM.statuses("12", [1])


def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.05)
    with pytest.raises(NoAnswerError, match="no answer within 0 seconds"):
        ask("sleep", "5")
    with pytest.raises(NoAnswerError, match="No such file"):
        ask("no-such-program-here")
