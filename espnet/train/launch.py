"""Starts a training in as many processes as its options and surroundings say.

``--ngpu N`` and ``--num-procs N`` start N processes here. Under torchrun, which sets
RANK and WORLD_SIZE, and under srun with a task for each process, this is one of them;
with a task for each node, those of a node are started by it.
"""

from __future__ import annotations

import logging
import multiprocessing.connection
import os
import re
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing

from espnet.train.distributed import Ranks
from espnet.train.lifeline import Lifeline
from espnet.utils.errors import UserError, run_command
from espnet.utils.log import setup_logging

Task = Callable[[Namespace, Ranks], None]

MEETING_TIME = timedelta(minutes=10)  # for all processes to come to the first meeting
PATIENCE = timedelta(hours=1)  # with another one, while the lifelines say that all live
GRACE = 15.0  # seconds that processes have to end after one that failed
FIRST_PORT, PORTS = 20000, 10000


@dataclass(frozen=True)
class Node:
    """This machine among those that train together.

    Attributes:
        number: 0 is the first.
        nodes: their number.
        address: of the first.
        port: of the store there; 0: any that is free.
    """

    number: int = 0
    nodes: int = 1
    address: str = "127.0.0.1"
    port: int = 0


def launch(task: Task, args: Namespace) -> None:
    """Run a training in all its processes, or as one of them.

    Args:
        task: gets the options and its place; importable by name.
        args: among others ``ngpu``, ``num_procs``, ``num_nodes``, ``outdir``.

    Raises:
        UserError: options and surroundings do not fit, or a process failed.
    """
    here = max(1, args.ngpu or 0) * args.num_procs
    if {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        run_rank(task, args)
        return
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks > 1 and tasks == args.num_nodes * here:
        os.environ.update(rank_of_slurm(os.environ))
        run_rank(task, args)
        return
    if tasks != args.num_nodes:
        raise UserError(
            f"num-nodes: {args.num_nodes}: srun has started {tasks} task(s); start one "
            "on each machine, as by 'srun --nodes N --ntasks-per-node 1 COMMAND "
            "--num-nodes N', or use torchrun"
        )
    if args.num_nodes == here == 1:
        task(args, Ranks())
        return
    check_gpus(args.ngpu or 0)
    spawn(task, args, here, node_of_slurm(os.environ) if tasks > 1 else Node())


def check_gpus(count: int) -> None:
    """Refuse to use more GPUs than there are."""
    available = torch.cuda.device_count()
    if count > available:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        because = f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
        raise UserError(f"ngpu: {count}: torch sees {available} here{because}")


def rank_of_slurm(env: Mapping[str, str]) -> dict[str, str]:
    """The variables of torchrun, from those of a Slurm task that is one process."""
    node = node_of_slurm(env)
    return {
        "RANK": env["SLURM_PROCID"],
        "LOCAL_RANK": env["SLURM_LOCALID"],
        "WORLD_SIZE": env["SLURM_STEP_NUM_TASKS"],
        "MASTER_ADDR": node.address,
        "MASTER_PORT": str(node.port),
    }


def node_of_slurm(env: Mapping[str, str]) -> Node:
    """This node, from the variables of Slurm; MASTER_ADDR and MASTER_PORT win."""
    nodes = env.get("SLURM_STEP_NODELIST") or env["SLURM_JOB_NODELIST"]
    job = int(env.get("SLURM_JOB_ID", 0)) + 17 * int(env.get("SLURM_STEP_ID", 0))
    return Node(
        int(env["SLURM_NODEID"]),
        int(env.get("SLURM_STEP_NUM_NODES", 1)),
        env.get("MASTER_ADDR") or first_host(nodes),
        int(env.get("MASTER_PORT", FIRST_PORT + job % PORTS)),
    )


def first_host(nodes: str) -> str:
    """The first of Slurm's ``node[03-05,9],other``."""
    match = re.match(r"([^\[,]+)(?:\[([^\],-]+)[^\]]*\])?", nodes)
    if match is None:
        raise UserError(f"SLURM_JOB_NODELIST: '{nodes}' names no node")
    return match[1] + (match[2] or "")


def spawn(task: Task, args: Namespace, count: int, node: Node) -> None:
    """Start ``count`` processes on this machine, and wait until all have ended.

    Raises:
        UserError: one failed; the others are ended too.
    """
    port = node.port
    if node.number == 0:  # outlives its users, and so tells them of each other's end
        store = dist.TCPStore(
            node.address, port, is_master=True, wait_for_workers=False
        )
        port = store.port
    env = {
        "WORLD_SIZE": str(count * node.nodes),
        "MASTER_ADDR": node.address,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # which is what torchrun calls ours
    }
    if node.nodes == 1 and sys.platform == "linux":
        env["GLOO_SOCKET_IFNAME"] = "lo"  # works whatever the host's name means
    threads = max(1, torch.get_num_threads() // count)
    first = node.number * count
    context = torch.multiprocessing.start_processes(
        _child,
        (task, args, first, {**env, **_chosen()}, threads),
        nprocs=count,
        join=False,
        start_method="spawn",
    )
    _supervise(dict(enumerate(context.processes, first)), Path(args.outdir))


def _chosen() -> dict[str, str]:
    """What the user says of the network."""
    return {k: v for k, v in os.environ.items() if k == "GLOO_SOCKET_IFNAME"}


def _child(
    local: int,
    task: Task,
    args: Namespace,
    first: int,
    env: dict[str, str],
    threads: int,
) -> None:
    os.environ.update(env, RANK=str(first + local), LOCAL_RANK=str(local))
    torch.set_num_threads(threads)
    run_command(lambda _: run_rank(task, args))


def _supervise(processes: dict[int, Any], outdir: Path) -> None:
    """Wait for processes by rank; hand SIGTERM on to them, end them if one fails."""

    def hand_on(number: int, frame: object) -> None:
        for process in processes.values():
            if process.is_alive():
                os.kill(process.pid, number)

    before = signal.signal(signal.SIGTERM, hand_on)
    alive = dict(processes)
    failed: tuple[int, int] | None = None
    deadline = float("inf")
    try:
        while alive:
            sentinels = [process.sentinel for process in alive.values()]
            multiprocessing.connection.wait(sentinels, 1.0)
            for rank, process in list(alive.items()):
                if process.is_alive():
                    continue
                del alive[rank]
                if process.exitcode and failed is None:
                    failed = rank, process.exitcode
                    deadline = time.monotonic() + GRACE
                    _tell_end(rank, process.exitcode)
            if time.monotonic() > deadline:
                for process in alive.values():
                    process.kill()
    finally:
        signal.signal(signal.SIGTERM, before)
    if failed is not None:
        raise UserError(_failure(*failed, outdir))


def _tell_end(rank: int, status: int) -> None:
    """Say at once which process has ended, while others may still have to be ended."""
    what = f"was killed by {signal.Signals(-status).name}" if status < 0 else "failed"
    logging.warning("the process of rank %d %s; the others are ended", rank, what)


def _failure(rank: int, status: int, outdir: Path) -> str:
    goes_on = "the same command goes on from the newest snapshot"
    if status < 0:
        hint = " (memory may be full)" if status == -signal.SIGKILL else ""
        name = signal.Signals(-status).name
        return f"rank {rank}: the process was killed by {name}{hint}; {goes_on}"
    place = f"{outdir / log_name(rank)}" if rank else "above"
    return f"rank {rank}: the process failed, see {place}"


def log_name(rank: int) -> str:
    """The file in ``outdir`` that what a process says goes to; not for the first."""
    return f"train.rank{rank}.log"


def run_rank(task: Task, args: Namespace) -> None:
    """Be the process that RANK, LOCAL_RANK and WORLD_SIZE say, until all are done.

    Raises:
        UserError: what ended this or another process.
    """
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", 0))
    if rank:
        _redirect(Path(args.outdir) / log_name(rank))
    setup_logging(args.verbose)
    is_gpu = args.ngpu != 0 and torch.cuda.is_available()
    if is_gpu:
        torch.cuda.set_device(local % torch.cuda.device_count())
    store, rank, size = next(dist.rendezvous("env://", timeout=MEETING_TIME))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if is_gpu else "gloo",
        store=dist.PrefixStore("group", store),
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
    )
    lifeline = Lifeline(store.clone(), rank, size)
    lifeline.start()
    try:
        task(args, Ranks(rank, size))
        dist.barrier()
    except UserError as error:
        lifeline.tell(f"rank {rank}: {error}")
        raise
    except Exception as error:
        verdict = lifeline.verdict()
        if verdict is not None:
            raise UserError(verdict) from error
        lifeline.tell(f"rank {rank}: {type(error).__name__}: {error}")
        raise
    lifeline.stop()
    dist.barrier()  # until nobody needs the store of the first one
    dist.destroy_process_group()


def _redirect(path: Path) -> None:
    """Let all that this process and its libraries say go to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for target in (1, 2):
        os.dup2(stream, target)
    os.close(stream)
