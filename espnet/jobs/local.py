"""Run jobs on this machine, as many at once as it has cores (or GPUs)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

from espnet.jobs.grammar import Request
from espnet.utils.errors import UserError

STRETCH = 1.4  # this much over the limit all jobs run at once: no round for a few left
GRACE = 5.0  # seconds between asking the jobs to end and killing them


def run_local(request: Request) -> dict[int, int]:
    """Run the jobs of a request; each one's output goes to its log alone.

    Returns:
        Each job's exit code, -S if signal S ended it.

    Raises:
        UserError: a log cannot be written, or bash is missing.
    """
    return _Pool(request, echo=False).run()


def run_local_echo(request: Request) -> dict[int, int]:
    """As :func:`run_local`, but the output also goes to stdout."""
    return _Pool(request, echo=True).run()


def job_limit(request: Request) -> int:
    """How many jobs may run at once.

    ``--max-jobs-run`` if given; else the number of cores, or with ``--gpu N`` how many
    times N GPUs are there, either stretched a little to spare a last short round.
    """
    count = len(request.jobs)
    if "max_jobs_run" in request.options:
        given = request.number("max_jobs_run", 0)
        if given == 0:
            raise UserError("--max-jobs-run must be at least 1, got 0")
        return min(given, count)
    gpus = request.number("gpu", 0)
    limit = max(1, count_gpus() // gpus) if gpus else count_cores()
    return count if count <= STRETCH * limit else limit


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_gpus() -> int:
    """The GPUs that CUDA_VISIBLE_DEVICES shows, or else that nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip()])
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return 0
    return len(listing.stdout.splitlines())


class _Pool:
    """Threads that each take the next job, start it and wait for it."""

    def __init__(self, request: Request, echo: bool) -> None:
        self.request = request
        self.echo = echo
        self.codes: dict[int, int] = {}
        self.running: set[subprocess.Popen[bytes]] = set()
        self.lock = threading.Lock()
        self.stopped = False
        self.broken: UserError | None = None

    def run(self) -> dict[int, int]:
        jobs = iter(self.request.jobs)
        threads = [
            threading.Thread(target=self._work, args=(jobs,), daemon=True)
            for _ in range(job_limit(self.request))
        ]
        with self._end_jobs_on_signal():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self.broken is not None:
            raise self.broken
        return self.codes

    def _work(self, jobs: Iterator[int]) -> None:
        while True:
            with self.lock:
                job = next(jobs, None)
                if job is None or self.stopped or self.broken is not None:
                    return
            log = self.request.fill(self.request.log, job)
            try:
                code = self._run_job(log, self.request.fill(self.request.command, job))
            except OSError as error:
                file = error.filename or log
                self.broken = UserError(f"cannot run the job: {file}: {error.strerror}")
                return
            self.codes[job] = code

    def _run_job(self, log: str, command: str) -> int:
        """One job from the first line of its log to the last."""
        os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
        started = time.time()
        with open(log, "wb") as stream:
            stream.write(f"# {command}\n# Started at {_date(started)}\n#\n".encode())
        with open(log, "ab") as stream:  # append: the job and its children share it
            process = self._start(command, stream)
            if process is None:
                return -signal.SIGTERM
            if process.stdout is not None:
                self._copy(process.stdout, stream)
            code = process.wait()
            with self.lock:
                self.running.discard(process)
            seconds = round(time.time() - started)
            how = f"code {code}" if code >= 0 else f"code {128 - code}; signal {-code}"
            stream.write(
                f"# Accounting: time={seconds} threads=1\n# Ended ({how}) at "
                f"{_date(time.time())}, elapsed time {seconds} seconds\n".encode()
            )
        return code

    def _start(self, command: str, log: IO[bytes]) -> subprocess.Popen[bytes] | None:
        """Start bash in a process group of its own; None once we are to stop.

        The command goes through stdin, as its length as an argument is limited.
        """
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(
                ["bash"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self.echo else log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.running.add(process)
        assert process.stdin is not None
        try:
            process.stdin.write(f"set -o pipefail; {command}\n".encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # killed already; its exit code tells
        return process

    def _copy(self, source: IO[bytes], log: IO[bytes]) -> None:
        """Output as it comes, to the log and to stdout while somebody reads that."""
        while chunk := os.read(source.fileno(), 65536):
            log.write(chunk)
            log.flush()
            if not self.echo:
                continue
            try:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                self.echo = False

    @contextmanager
    def _end_jobs_on_signal(self) -> Iterator[None]:
        """End the jobs when this process is told to end, then end of the same cause."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # under nohup it is
            numbers.append(signal.SIGHUP)
        if threading.current_thread() is not threading.main_thread():
            numbers = []
        earlier = {number: signal.signal(number, self._end) for number in numbers}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)  # once is enough
        with self.lock:  # the main thread, where this runs, never holds it elsewhere
            self.stopped = True
            groups = [process.pid for process in self.running]
        deadline = time.time() + GRACE
        _kill(groups, signal.SIGTERM)
        while _kill(groups, 0) and time.time() < deadline:
            time.sleep(0.02)
        _kill(groups, signal.SIGKILL)
        while self.running and time.time() < deadline + 1:
            time.sleep(0.02)  # the logs get their last lines
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # the shell that called us sees why we ended


def _kill(groups: Sequence[int], number: int) -> bool:
    """Send a signal to process groups; whether any of them was still there."""
    found = False
    for group in groups:
        try:
            os.killpg(group, number)
            found = True
        except ProcessLookupError:
            pass
    return found


def _date(seconds: float) -> str:
    """A time as the command ``date`` writes it in the C locale."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y", time.localtime(seconds))
