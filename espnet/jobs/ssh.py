"""Run jobs on machines that share the folder, by ssh, without a scheduler.

``.queue/machines`` in the folder of the recipe has a machine in each line, and after
it, if wanted, how many jobs it runs at once (else as many as it has cores, or, with
``--gpu N``, times N GPUs).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

from espnet.jobs.grammar import Request
from espnet.jobs.outcome import Outcome
from espnet.jobs.pool import ENDED, Pool
from espnet.jobs.script import job_script
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import remove_folder

LATENCY = 10.0  # seconds until an exit code is there, on a slow network file system
MACHINES = Path(".queue/machines")
# no questions, and a connection that is lost is noticed
SSH = (
    *("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
)


@dataclass(frozen=True)
class Machine:
    """A line of ``.queue/machines``; ``jobs`` is 0 where the line has no number."""

    host: str
    jobs: int = 0


@dataclass(frozen=True)
class Slot:
    """A place for one job: a machine and the numbers of its GPUs, if it needs any."""

    host: str
    gpus: str = ""


def run_ssh(request: Request) -> dict[int, Outcome]:
    """Run the jobs of a request on the machines of ``.queue/machines``.

    Raises:
        UserError: the list is missing or wrong, or no machine can be reached.
    """
    slots = _slots(read_machines(MACHINES), request)
    slots = slots[: min(request.max_jobs_run or len(slots), len(request.jobs))]
    place = MACHINES.parent.resolve()
    with tempfile.TemporaryDirectory(dir=place, prefix="jobs.") as folder:
        tidy_up = partial(remove_folder, folder)
        pool = Pool(partial(_run_job, request, Path(folder)), tidy_up)
        return pool.run(request.jobs, slots)


def read_machines(path: Path) -> list[Machine]:
    """The machines in a file.

    Raises:
        UserError: there is no such file, or no machine in it.
        DataError: lines that are no machine, each with its number.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; write one machine in each line, such as "
            "'node1' or, for at most four jobs at once, 'node1 4'"
        ) from None
    machines, problems = [], []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        match = re.fullmatch(r"([\w.@][\w.@:-]*)(?:\s+([1-9][0-9]*))?", text)
        if match:
            machines.append(Machine(match[1], int(match[2] or 0)))
        elif text:
            problems.append(
                f"{path}:{number}: '{text}' is not a machine's name, with or without a "
                "number of jobs after it"
            )
    if problems:
        raise DataError(problems)
    if not machines:
        raise UserError(f"{path}: has no machine in it")
    return machines


def _slots(machines: list[Machine], request: Request) -> list[Slot]:
    """The places of all machines that answer, in turn, so that each gets its share."""
    gpus = request.number("gpu", 0)
    with ThreadPoolExecutor(len(machines)) as threads:
        found = list(threads.map(partial(_slots_of, gpus), machines))
    slots = [slot for row in zip_longest(*found) for slot in row if slot is not None]
    if not slots:
        what = "can run the jobs" if not gpus else f"can run jobs with {gpus} GPUs"
        raise UserError(f"{MACHINES}: none of its machines {what}")
    return slots


def _slots_of(gpus: int, machine: Machine) -> list[Slot]:
    """What one machine offers; why it offers nothing is said on stderr."""
    question = (
        f"cd {shlex.quote(os.getcwd())} && nproc && "
        "{ nvidia-smi -L 2> /dev/null | grep -c ^GPU || true; }"
    )
    done = subprocess.run(
        [*SSH, machine.host, question],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    answer = [int(word) for word in done.stdout.split()[-2:] if word.isdigit()]
    if done.returncode != 0 or len(answer) != 2:
        program = os.path.basename(sys.argv[0])
        said = done.stderr.strip() or f"exit code {done.returncode}"
        print(f"{program}: {machine.host} is left out: {said}", file=sys.stderr)
        return []
    cores, there = answer
    if not gpus:
        return [Slot(machine.host)] * (machine.jobs or cores)
    sets = list(_gpu_sets(there, gpus))
    return [Slot(machine.host, names) for names in sets[: machine.jobs or len(sets)]]


def _gpu_sets(there: int, each: int) -> Iterator[str]:
    for first in range(0, there - each + 1, each):
        yield ",".join(str(number) for number in range(first, first + each))


def _run_job(
    request: Request, folder: Path, pool: Pool[Slot], slot: Slot, job: int
) -> Outcome:
    """One job on one machine, from the connection to the exit code."""
    script, code = folder / f"{job}.sh", folder / f"{job}"
    text = job_script(request, str(job), str(folder), lifeline=True)
    script.write_bytes(os.fsencode(text))
    gpus = f"CUDA_VISIBLE_DEVICES={slot.gpus} " if slot.gpus else ""
    process = pool.start(
        [*SSH, slot.host, f"{gpus}bash {shlex.quote(str(script))}"],
        stdin=subprocess.PIPE,  # held open as long as the job may run
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if process is None:
        return ENDED
    assert process.stderr is not None and process.stdin is not None
    said = process.stderr.read().decode(errors="replace").strip()
    status = pool.wait(process)
    process.stdin.close()
    return _outcome(code, status, slot.host, said)


def _outcome(code: Path, status: int, host: str, said: str) -> Outcome:
    """How a job ended of which ssh has returned."""
    if status in (0, 1):  # those of the script
        deadline = time.monotonic() + LATENCY
        while not _is_there(code) and time.monotonic() < deadline:
            time.sleep(0.1)
        if _is_there(code):
            return Outcome(int(code.read_text()), f"ran on {host}")
        what = "left no exit code"
    elif status == 255 or status < 0:
        what = "was ended as the connection was lost"
    else:
        what = "could not be started"
    return Outcome(None, f"{what} on {host}: {said or 'no message'}")


def _is_there(path: Path) -> bool:
    return path.name in os.listdir(
        path.parent
    )  # which is fresher on NFS than a look-up
