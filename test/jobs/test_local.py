"""How many jobs run at once on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet.jobs import local
from espnet.jobs.grammar import parse
from espnet.jobs.outcome import Outcome
from espnet.jobs.pool import Pool
from espnet.utils.errors import UserError


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("JOB=1:40", 10),
        ("JOB=1:3", 3),
        ("JOB=1:14", 14),  # 1.4 times the cores: no second round for four jobs
        ("JOB=1:15", 10),
        ("--max-jobs-run 2 JOB=1:40", 2),
        ("-tc 2 JOB=1:40", 2),
        ("--max-jobs-run 50 JOB=1:40", 40),
        ("--gpu 0 JOB=1:40", 10),
        ("--gpu 1 JOB=1:40", 4),
        ("--gpu 2 JOB=1:40", 2),
        ("--gpu 8 JOB=1:40", 1),
    ],
)
def test_limit(words: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "count_cores", lambda: 10)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert local.job_limit(parse([*words.split(), "x.JOB.log", "true"])) == limit


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--max-jobs-run 0", "--max-jobs-run must be at least 1, got 0"),
        ("--max-jobs-run all", "--max-jobs-run wants a whole number, got 'all'"),
        ("--gpu yes", "--gpu wants a whole number, got 'yes'"),
        ("--max-jobs-run 2 --gpu yes", "--gpu wants a whole number, got 'yes'"),
    ],
)
def test_wrong_limits(option: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        local.job_limit(parse([*option.split(), "x.log", "true"]))


def test_a_job_that_cannot_be_run_is_no_success() -> None:
    """Whatever went wrong in its thread comes out, and no further job is begun."""
    begun = []

    def work(pool: Pool[int], slot: int, job: int) -> Outcome:
        begun.append(job)
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        Pool(work).run(range(1, 9), range(1))
    assert begun == [1]


@pytest.mark.parametrize(
    ("slot", "count", "gpus"),
    [
        (0, 1, ["4"]),
        (2, 1, ["6"]),
        (4, 1, ["4"]),  # more jobs at once than GPUs
        (1, 2, ["6", "7"]),
        (3, 2, ["6", "7"]),
        (0, 8, ["4", "5", "6", "7"]),
    ],
)
def test_gpus_of_jobs_that_run_at_once(slot: int, count: int, gpus: list[str]) -> None:
    assert local.gpus_of_slot(slot, count, ["4", "5", "6", "7"]) == gpus


def test_each_job_sees_its_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    log = str(tmp_path / "JOB.log")
    command = ["bash", "-c", "sleep 0.5; echo sees $CUDA_VISIBLE_DEVICES"]
    local.run_local(parse(["--gpu", "1", "JOB=1:2", log, *command]))
    seen = [(tmp_path / f"{job}.log").read_text() for job in (1, 2)]
    assert sorted("sees 5\n" in text for text in seen) == [False, True]
    assert sorted("sees 7\n" in text for text in seen) == [False, True]
