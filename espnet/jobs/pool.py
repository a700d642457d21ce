"""Processes that run jobs, so many at once, and end with the launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from espnet.jobs.outcome import Outcome
from espnet.jobs.signals import end_with
from espnet.utils.errors import UserError

GRACE = 5.0  # seconds between asking the jobs to end and killing them
ENDED = Outcome(-signal.SIGTERM)  # of a job that was not started as we are to stop

Slot = TypeVar("Slot")


class Pool(Generic[Slot]):
    """Threads, one for each place where a job can run, that take the next job each.

    Args:
        work: ``work(pool, slot, job)`` runs one job to its end, by a process of
            :meth:`start`.
        tidy_up: what is left to do when a signal has ended the jobs and will end us.
    """

    def __init__(
        self,
        work: Callable[[Pool[Slot], Slot, int], Outcome],
        tidy_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.work = work
        self.tidy_up = tidy_up
        self.outcomes: dict[int, Outcome] = {}
        self.running: set[subprocess.Popen[bytes]] = set()
        self.lock = threading.Lock()
        self.stopped = False
        self.broken: Exception | None = None  # why a job could not be run

    def run(self, jobs: Sequence[int], slots: Sequence[Slot]) -> dict[int, Outcome]:
        """How each job ended.

        Raises:
            UserError: a job could not be started; or what ``work`` raised.
        """
        waiting = iter(jobs)
        threads = [
            threading.Thread(target=self._work, args=(waiting, slot), daemon=True)
            for slot in slots
        ]
        with end_with(self._stop):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self.broken is not None:
            raise self.broken
        return self.outcomes

    def start(
        self, words: Sequence[str], **options: Any
    ) -> subprocess.Popen[bytes] | None:
        """Start a process in a group of its own; None once we are to stop."""
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(words, start_new_session=True, **options)
            self.running.add(process)
        return process

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a process of :meth:`start`; its exit code, -S for signal S."""
        code = process.wait()
        with self.lock:
            self.running.discard(process)
        return code

    def _work(self, waiting: Iterator[int], slot: Slot) -> None:
        while True:
            with self.lock:
                job = next(waiting, None)
                if job is None or self.stopped or self.broken is not None:
                    return
            try:
                self.outcomes[job] = self.work(self, slot, job)
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                what = f"cannot run the job: {where}{error.strerror}"
                self.broken = UserError(what)
                return
            except Exception as error:  # or a job that did not run would seem done
                self.broken = error
                return

    def _stop(self) -> None:
        """End what runs. (The main thread, where this runs, never holds the lock.)"""
        with self.lock:
            self.stopped = True
            groups = [process.pid for process in self.running]
        deadline = time.time() + GRACE
        _kill(groups, signal.SIGTERM)
        while _kill(groups, 0) and time.time() < deadline:
            time.sleep(0.02)
        _kill(groups, signal.SIGKILL)
        while self.running and time.time() < deadline + 1:
            time.sleep(0.02)  # the logs get their last lines
        self.tidy_up()


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
