"""Option maps: what a cluster's submit command gets for ``--mem 2G`` and the like."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet.jobs import pbs, sge, slurm
from espnet.jobs.cluster import Scheduler
from espnet.jobs.grammar import parse
from espnet.jobs.option_map import SHARED, find_option_map, read_option_map
from espnet.utils.errors import UserError

RULES = """\
command submit -S '/bin/my bash' -l arch=*64*   # always

option mem=* -l mem_free=$0,ram_free=$0
option mem=0          # nothing
option gpu=* -q g.q -l gpu=$0
option gpu=0
option gpu=2 -q two
option kind=a --a
default gpu=0
default kind=a
"""
ALWAYS = ["submit", "-S", "/bin/my bash", "-l", "arch=*64*"]


@pytest.mark.parametrize(
    ("options", "added"),
    [
        ({}, "--a"),
        ({"mem": "2G"}, "--a -l mem_free=2G,ram_free=2G"),
        ({"mem": "0"}, "--a"),
        ({"gpu": "1"}, "-q g.q -l gpu=1 --a"),
        ({"gpu": "2"}, "-q two --a"),
        ({"config": "x", "max_jobs_run": "3"}, "--a"),
    ],
)
def test_options(options: dict[str, str], added: str) -> None:
    rules = read_option_map(RULES.splitlines(), "x.conf")
    assert rules.submit_command(options) == [*ALWAYS, *added.split()]


def test_variables_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECT", "speech group")
    rules = read_option_map(["command sbatch -A $PROJECT"], "x.conf")
    assert rules.submit_command({}) == ["sbatch", "-A", "speech group"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"men": "2G"}, r"--men 2G: x.conf has no line 'option men=\* .*mean 'mem'"),
        ({"kind": "b"}, r"--kind b: x.conf has lines for kind=a only; add one"),
        ({"num_threads": "4"}, r"option --num-threads 4: x.conf has no line"),
    ],
)
def test_options_without_a_rule(options: dict[str, str], message: str) -> None:
    rules = read_option_map(RULES.splitlines(), "x.conf")
    with pytest.raises(UserError, match=message):
        rules.submit_command(options)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("option mem -l $0", "x.conf:2: 'option mem -l $0': wants name=value after"),
        ("option", "x.conf:2: 'option': wants name=value after 'option'"),
        (
            "default gpu",
            "wants name=value after 'default'; write it like 'default gpu=",
        ),
        ("default gpu=0 --x", "a default is one name=value and nothing else"),
        ("options mem=*", "x.conf:2: 'options mem=*': is none of 'command ...', "),
        ("command", "x.conf:2: 'command': the submit command is missing"),
        ("option a=* 'x", "x.conf:2: 'option a=* 'x': no closing quotation"),
        ("default mem=0", "x.conf: 'default mem=0' needs a line 'option mem=* ...'"),
    ],
)
def test_wrong_lines_are_named(line: str, problem: str) -> None:
    with pytest.raises(UserError) as error:
        read_option_map(["command qsub", line], "x.conf")
    assert problem in str(error.value)


def test_every_wrong_line_is_named() -> None:
    with pytest.raises(UserError) as error:
        read_option_map(["command a", "one", "", "two"], "x.conf")
    assert [line[:9] for line in str(error.value).splitlines()] == [
        "x.conf:2:",
        "x.conf:4:",
    ]


def test_a_command_is_needed() -> None:
    with pytest.raises(UserError, match="x.conf: has no line 'command ...'"):
        read_option_map(["# command qsub"], "x.conf")


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_option_map(None, "slurm.conf").source == str(SHARED / "slurm.conf")
    assert find_option_map("conf/gpu.conf", "queue.conf").command[0] == "qsub"
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/slurm.conf").write_text("command mine\n")
    assert find_option_map(None, "slurm.conf").command == ["mine"]
    with pytest.raises(UserError, match="--config my.conf: No such file"):
        find_option_map("my.conf", "slurm.conf")
    (tmp_path / "my.conf").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="--config my.conf: is not a text file"):
        find_option_map("my.conf", "slurm.conf")


QSUB = "qsub -v PATH -cwd -S /bin/bash -j y -l arch=*64*"


@pytest.mark.parametrize(
    ("scheduler", "words", "line"),
    [
        (slurm.SLURM, "", "sbatch --output q.log --open-mode=append"),
        (
            slurm.SLURM,
            "--mem 2G --num-threads 4 --gpu 1 --time 4:00:00 --num-nodes 2",
            "sbatch --gres=gpu:1 --mem=2G --cpus-per-task=4 --time=4:00:00 --nodes=2 "
            "--output q.log --open-mode=append",
        ),
        (
            slurm.SLURM,
            "--max-jobs-run 5 JOB=1:40",
            "sbatch --output q.log --open-mode=append --array 1-40%5",
        ),
        (slurm.SLURM, "JOB=3", "sbatch --output q.log --open-mode=append"),
        (sge.SGE, "--num-threads 1 --mem 0", f"{QSUB} -o q.log"),
        (
            sge.SGE,
            "--mem 2G --num-threads 4 --gpu 1 --time 3600 --max-jobs-run 5 JOB=2:9",
            f"{QSUB} -l gpu=1 -q g.q -l mem_free=2G,ram_free=2G -pe smp 4 -l h_rt=3600 "
            "-o q.log -t 2-9 -tc 5",
        ),
        (
            sge.SGE,
            "--config conf/gpu.conf --gpu 1 JOB=1:2",
            f"{QSUB} -q g.q -o q.log -t 1-2",
        ),
        (pbs.PBS, "", "qsub -S /bin/bash -j oe -o q.log"),
        (
            pbs.PBS,
            "--mem 2gb --num-threads 4 --gpu 1 --time 4:0:0 -tc 5 JOB=1:8",
            "qsub -S /bin/bash -l ngpus=1 -l mem=2gb -l ncpus=4 -l walltime=4:0:0 "
            "-j oe -o q.log -J 1-8%5",
        ),
    ],
)
def test_submit_lines_of_the_shared_files(
    scheduler: Scheduler, words: str, line: str
) -> None:
    request = parse([*words.split(), "x.JOB.log", "true"])
    rules = find_option_map(request.options.get("config"), scheduler.config)
    submit = rules.submit_command(request.options)
    assert [*submit, *scheduler.arguments(rules, request, "q.log")] == line.split()


def test_torque_asks_for_arrays_in_its_own_way() -> None:
    rules = read_option_map(["command qsub", "option array=* -t $0"], "pbs.conf")
    request = parse(["JOB=1:8", "x.JOB.log", "true"])
    assert pbs.PBS.arguments(rules, request, "q.log")[-2:] == ["-t", "1-8"]


@pytest.mark.parametrize("scheduler", [slurm.SLURM, sge.SGE, pbs.PBS])
def test_a_wrong_limit(scheduler: Scheduler) -> None:
    request = parse(["-tc", "0", "JOB=1:8", "x.JOB.log", "true"])
    rules = find_option_map(None, scheduler.config)
    with pytest.raises(UserError, match="--max-jobs-run must be at least 1, got 0"):
        scheduler.arguments(rules, request, "q.log")


def test_every_shared_file_is_right() -> None:
    files = sorted(SHARED.glob("*.conf"))
    assert {file.name for file in files} == {
        *("queue.conf", "slurm.conf", "pbs.conf", "gpu.conf")
    }
    for file in files:
        read_option_map(file.read_text().splitlines(), file.name)
