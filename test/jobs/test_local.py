"""How many jobs run at once on this machine."""

from __future__ import annotations

import pytest

from espnet.jobs import local
from espnet.jobs.grammar import parse
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
    ],
)
def test_wrong_limits(option: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        local.job_limit(parse([*option.split(), "x.log", "true"]))
