"""Kaldi's launcher grammar."""

from __future__ import annotations

import pytest

from espnet.jobs.grammar import parse, quote
from espnet.utils.errors import UserError


@pytest.mark.parametrize(
    ("words", "jobs", "options"),
    [
        ("x.log true", [1], {}),
        ("JOB=1:3 x.JOB.log true", [1, 2, 3], {}),
        ("JOB=2:3 x.JOB.log true", [2, 3], {}),
        ("n=4 x.log true", [4], {}),
        ("JOB=1:1 x.log true", [1], {}),
        ("--mem 2G JOB=1:2 x.JOB.log true", [1, 2], {"mem": "2G"}),
        ("JOB=1:2 --num-threads 3 x.JOB.log true", [1, 2], {"num_threads": "3"}),
        (
            "-tc 5 JOB=1:2 --gpu 1 x.JOB.log a",
            [1, 2],
            {"max_jobs_run": "5", "gpu": "1"},
        ),
        ("--max_jobs_run 5 x.log true", [1], {"max_jobs_run": "5"}),
        ("exp/lr=0.1/x.log true", [1], {}),
    ],
)
def test_range_and_options(
    words: str, jobs: list[int], options: dict[str, str]
) -> None:
    request = parse(words.split())
    assert list(request.jobs) == jobs
    assert request.options == options


def test_options_of_qsub_are_kept_apart() -> None:
    request = parse(
        ["-V", "-sync", "y", "-pe", "smp", "4", "-q", "long", "x.log", "true"]
    )
    assert request.passed_on == (
        ("-V",),
        ("-sync", "y"),
        ("-pe", "smp", "4"),
        ("-q", "long"),
    )
    assert request.log == "x.log"


def test_every_occurrence_of_the_name_is_replaced() -> None:
    request = parse(["JOB=1:9", "d/JOB/x.JOB.log", "f", "a.JOB", "bJOBc"])
    assert request.fill(request.log, 7) == "d/7/x.7.log"
    assert request.fill(request.command, 7) == "f a.7 b7c"


def test_a_file_name_with_a_number_is_not_touched_without_a_range() -> None:
    request = parse(["JOB.log", "echo", "JOB"])
    assert request.fill(request.command, 1) == "echo JOB"


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("plain", "plain"),
        ("|", "|"),
        (">x", ">x"),
        ("", '""'),
        ("two words", '"two words"'),
        ("it's $x", '"it\'s $x"'),
        ('say "hi"', "'say \"hi\"'"),
        ("""a "b" 'c'""", """'a "b" '\\''c'\\'''"""),
    ],
)
def test_quoting(word: str, quoted: str) -> None:
    assert quote(word) == quoted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "the log file and the command is missing; usage: [options] [JOB=1:N] LOG"),
        ("x.log", "the command is missing"),
        ("JOB=1:4", "the log file and the command is missing"),
        ("JOB=1: x.log true", "'JOB=1:' is not a range of jobs; write it like JOB=1:8"),
        ("JOB=1:four x.log true", "'JOB=1:four' is not a range of jobs"),
        ("JOB=0:4 x.JOB.log true", "it must start at 1 or more"),
        ("JOB=4:3 x.JOB.log true", "not end before it starts"),
        ("JOB=1:2 x.log true", "the log file 'x.log' must have JOB in its name"),
        ("--mem", "option --mem wants a value"),
        ("--mem=2G x.log true", "write '--mem=2G' as '--mem 2G'"),
        ("-pe smp", "option -pe wants a value"),
        ("/bin/sh -c true", "the log file '/bin/sh' is a program; is the log file's"),
    ],
)
def test_mistakes(words: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(words.split())
    assert message in str(error.value)
