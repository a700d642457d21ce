"""Processes are started as options and surroundings say, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_corpus import train_argv, write_corpus

from espnet.train.distributed import Outcome, Ranks, mean, together
from espnet.train.launch import Node, first_host, launch, node_of_slurm, rank_of_slurm
from espnet.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SLURM = {
    "SLURM_JOB_ID": "123",
    "SLURM_STEP_ID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08,11]",
    "SLURM_STEP_NUM_NODES": "3",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_NODEID": "2",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("alone", "alone"),
        ("a,b", "a"),
        ("gpu[07-08,11]", "gpu07"),
        ("gpu[3,5],cpu[1-2]", "gpu3"),
        ("rack-1-[10-12]", "rack-1-10"),
    ],
)
def test_first_host_of_slurm(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_places_of_slurm() -> None:
    assert node_of_slurm(SLURM) == Node(2, 3, "gpu07", 20140)
    given = {**SLURM, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
    assert node_of_slurm(given) == Node(2, 3, "10.0.0.1", 29500)
    assert rank_of_slurm(SLURM) == {
        "RANK": "2",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "3",
        "MASTER_ADDR": "gpu07",
        "MASTER_PORT": "20140",
    }


def options(**more: object) -> Namespace:
    values = {"ngpu": 0, "num_procs": 1, "num_nodes": 1, "verbose": 0, "outdir": "out"}
    return Namespace(**{**values, **more})


def test_one_process_is_this_one() -> None:
    seen: list[Ranks] = []
    launch(lambda args, ranks: seen.append(ranks), options(ngpu=None))
    assert seen == [Ranks(0, 1)]


@pytest.mark.parametrize(
    ("given", "env", "words"),
    [
        ({"num_nodes": 2}, {}, "srun has started 1 task(s)"),
        ({"num_nodes": 2}, {"SLURM_STEP_NUM_TASKS": "3"}, "srun --nodes N"),
        ({}, {"SLURM_STEP_NUM_TASKS": "3"}, "num-nodes: 1"),
        ({"ngpu": 99}, {}, "ngpu: 99: torch sees"),
        ({"ngpu": 99}, {"CUDA_VISIBLE_DEVICES": "9"}, "(CUDA_VISIBLE_DEVICES=9)"),
    ],
)
def test_surroundings_that_do_not_fit(
    given: dict, env: dict, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as error:
        launch(lambda args, ranks: None, options(**given))
    assert words in str(error.value)


def test_outcomes_are_put_together() -> None:
    """Sums of parts are divided by the whole's counts, so their mean is what counts."""
    nan = float("nan")
    one = Outcome([1.0, 2.0], [{"loss": 1.0}, {"loss": 2.0, "cer": 4.0}], [("a",), ()])
    two = Outcome([3.0, nan], [{"loss": 3.0}, {"loss": 0.0}], [("b",), ("c",)], True)
    both = together([one, two])
    assert both.losses[:3] == [1.0, 2.0, 3.0]
    assert both.values == [{"loss": 2.0}, {"loss": 1.0, "cer": 4.0}]
    assert both.uttids == [("a",), (), ("b",), ("c",)] and both.is_stopping
    assert together([one]) is one and mean([{"x": 0.1}]) == {"x": 0.1}


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Starts the command with two processes; its messages go to ``text``."""
    files = write_corpus(tmp_path)

    def start(*more: object, text: str = "text", **env: str) -> subprocess.Popen:
        argv = train_argv(files, tmp_path / "out", "--num-procs", 2, *more)
        argv += ["--model-module", "tiny_recogniser:E2E", "--verbose", "1"]
        path = os.pathsep.join([str(ROOT), str(ROOT / "test")])
        return subprocess.Popen(
            [sys.executable, str(ROOT / "espnet/bin/asr_train.py"), *argv],
            stdout=(tmp_path / text).open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path, **env},
        )

    return start


def wait_for(path: Path, words: str) -> str:
    """The text of a file, once the words are in it."""
    for _ in range(1200):
        if path.is_file() and words in path.read_text():
            return path.read_text()
        time.sleep(0.1)
    raise AssertionError(path.read_text() if path.is_file() else f"no {path}")


@pytest.mark.slow  # each imports torch in three processes
def test_num_procs_and_a_request_to_end(
    start: Callable[..., subprocess.Popen], tmp_path: Path
) -> None:
    training = start("--epochs", 10000, "--patience", 0)
    wait_for(tmp_path / "text", "iters/sec")
    training.send_signal(signal.SIGTERM)
    assert training.wait(240) == 0
    assert "stopped by SIGTERM" in (tmp_path / "text").read_text()
    assert "stopped by SIGTERM" in (tmp_path / "out/train.rank1.log").read_text()
    (snapshot,) = (tmp_path / "out").glob("snapshot.iter.*")
    state = torch.load(snapshot, weights_only=True)["trainer"]
    assert len(state["random"]) == 2
    epochs = state["position"]["epoch"] + 1
    assert start("--epochs", epochs, "--patience", 0).wait(240) == 0
    assert "training is complete" in (tmp_path / "text").read_text()


@pytest.mark.slow
def test_the_command_names_the_process_that_was_killed(
    start: Callable[..., subprocess.Popen], tmp_path: Path
) -> None:
    training = start("--epochs", 10000, "--patience", 0)
    wait_for(tmp_path / "text", "iters/sec")
    children = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text()
    ranks = [
        int(pid)
        for pid in children.split()
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    assert training.wait(240) == 1
    text = (tmp_path / "text").read_text()
    assert (
        "error: rank 1: the process was killed by SIGKILL (memory may be full)" in text
    )


@pytest.mark.slow
def test_two_nodes_of_two_processes(
    start: Callable[..., subprocess.Popen], tmp_path: Path
) -> None:
    """What srun does on two machines, on one: the nodes are told by variables alone."""
    job = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "2",
        "SLURM_STEP_NUM_TASKS": "2",
    }
    more = ("--num-nodes", 2, "--epochs", 1)
    nodes = [
        start(*more, text=f"text{node}", **job, SLURM_NODEID=str(node))
        for node in (0, 1)
    ]
    assert [node.wait(240) for node in nodes] == [0, 0]
    first, second = ((tmp_path / f"text{node}").read_text() for node in (0, 1))
    assert "processes: 4" in first and "training is complete" in first
    assert "training is complete" not in second
    for rank in (1, 2, 3):
        log = (tmp_path / f"out/train.rank{rank}.log").read_text()
        assert "training is complete" in log
