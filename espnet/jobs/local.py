"""Run jobs on this machine, as many at once as it has cores (or GPUs)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from typing import IO

from espnet.jobs.grammar import Request
from espnet.jobs.outcome import Outcome
from espnet.jobs.pool import ENDED, Pool

STRETCH = 1.4  # this much over the limit all jobs run at once: no round for a few left


def run_local(request: Request) -> dict[int, Outcome]:
    """Run the jobs of a request; each one's output goes to its log alone.

    Raises:
        UserError: a log cannot be written, or bash is missing.
    """
    return _run(request, echo=False)


def run_local_echo(request: Request) -> dict[int, Outcome]:
    """As :func:`run_local`, but the output also goes to stdout."""
    return _run(request, echo=True)


def job_limit(request: Request) -> int:
    """How many jobs may run at once.

    ``--max-jobs-run`` if given; else the number of cores, or with ``--gpu N`` how many
    times N GPUs are there, either stretched a little to spare a last short round.
    """
    count = len(request.jobs)
    gpus = request.number("gpu", 0)
    if request.max_jobs_run is not None:
        return min(request.max_jobs_run, count)
    limit = max(1, count_gpus() // gpus) if gpus else count_cores()
    return count if count <= STRETCH * limit else limit


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_gpus() -> int:
    """The GPUs that there are for jobs."""
    return len(visible_gpus())


def visible_gpus() -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES shows, or else that nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [part.strip() for part in visible.split(",") if part.strip()]
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(number) for number in range(len(listing.stdout.splitlines()))]


def gpus_of_slot(slot: int, count: int, gpus: list[str]) -> list[str]:
    """The ``count`` GPUs of the jobs that run one after the other in a slot.

    Where more jobs run at once than there are GPUs for, some have the same ones.
    """
    groups = max(1, len(gpus) // count)
    first = slot % groups * count
    return gpus[first : first + count]


def _run(request: Request, echo: bool) -> dict[int, Outcome]:
    pool = Pool(partial(_run_job, request, echo))
    return pool.run(request.jobs, range(job_limit(request)))


def _run_job(
    request: Request, echo: bool, pool: Pool[int], slot: int, job: int
) -> Outcome:
    """One job from the first line of its log to the last."""
    log, command = request.fill(request.log, job), request.fill(request.command, job)
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    started = time.time()
    with open(log, "wb") as stream:
        stream.write(f"# {command}\n# Started at {_date(started)}\n#\n".encode())
    env = dict(os.environ)
    count = request.number("gpu", 0)
    if count and (gpus := visible_gpus()):
        env["CUDA_VISIBLE_DEVICES"] = ",".join(gpus_of_slot(slot, count, gpus))
    with open(log, "ab") as stream:  # append: the job and its children share it
        process = pool.start(
            ["bash"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if echo else stream,
            stderr=subprocess.STDOUT,
        )
        if process is None:
            return ENDED
        _say(process, f"set -o pipefail; {command}\n")
        if process.stdout is not None:
            _copy(process.stdout, stream)
        code = pool.wait(process)
        seconds = round(time.time() - started)
        how = f"code {code}" if code >= 0 else f"code {128 - code}; signal {-code}"
        stream.write(
            f"# Accounting: time={seconds} threads=1\n# Ended ({how}) at "
            f"{_date(time.time())}, elapsed time {seconds} seconds\n".encode()
        )
    return Outcome(code)


def _say(process: subprocess.Popen[bytes], text: str) -> None:
    """Hand the command to bash's stdin, as the length of an argument is limited."""
    assert process.stdin is not None
    try:
        process.stdin.write(text.encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # killed already; its exit code tells


def _copy(source: IO[bytes], log: IO[bytes]) -> None:
    """Output as it comes, to the log and to stdout while somebody reads that."""
    echo = True
    while chunk := os.read(source.fileno(), 65536):
        log.write(chunk)
        log.flush()
        if not echo:
            continue
        try:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            echo = False


def _date(seconds: float) -> str:
    """A time as the command ``date`` writes it in the C locale."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y", time.localtime(seconds))
