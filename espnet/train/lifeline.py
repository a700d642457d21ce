"""Notices that one of the processes that train together has ended, and ends the rest.

A collective operation would wait for it for an hour. So each process counts up a number
in the store that all of them reach, and a thread looks at the number of the next one in
a ring; whoever has an error that ends it leaves that in the store.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from torch.distributed import Store

PULSE = 2.0  # seconds
SILENCE = 30.0  # seconds without a pulse after which a process counts as dead
VERDICT = 3 * PULSE  # seconds that tell the living from the dead
FAILURE = "failure"


class Lifeline:
    """The pulse of this process, and a watch over another.

    Args:
        store: that all processes reach.
        rank: of this process.
        size: number of processes.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.store = store
        self.rank = rank
        self.size = size
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """All have done their work."""
        self._done.set()
        self._thread.join()

    def tell(self, message: str) -> None:
        """Say why this process, or another, ends; the others then end too."""
        try:
            if self.store.add("failures", 1) == 1:  # only the first one is the cause
                self.store.set(FAILURE, message)
        except RuntimeError:  # the store has ended before
            logging.debug("nobody is left to hear: %s", message)

    def verdict(self) -> str | None:
        """Why an operation with the others may have failed: what ended another."""
        try:
            before = self._pulses()
            for _ in range(int(VERDICT / PULSE)):
                if self.store.check([FAILURE]):
                    return self.store.get(FAILURE).decode()
                time.sleep(PULSE)
            after = self._pulses()
        except RuntimeError:
            return _store_lost()
        both = enumerate(zip(before, after, strict=True))
        dead = [str(rank) for rank, (a, b) in both if a == b and rank != self.rank]
        return _ended(", ".join(dead)) if dead else None

    def _pulses(self) -> list[int]:
        return [self._pulse(rank, 0) for rank in range(self.size)]

    def _pulse(self, rank: int, step: int) -> int:
        return self.store.add(f"pulse/{rank}", step)

    def _watch(self) -> None:
        watched = (self.rank + 1) % self.size
        last, since = -1, time.monotonic()
        while not self._done.wait(PULSE):
            try:
                self._pulse(self.rank, 1)
                if self.store.check([FAILURE]):
                    return self._end(self.store.get(FAILURE).decode())
                pulse = self._pulse(watched, 0)
            except RuntimeError:
                if not self._done.is_set():
                    self._end(_store_lost())
                return
            if pulse != last:
                last, since = pulse, time.monotonic()
            elif time.monotonic() - since > SILENCE:
                self.tell(_ended(str(watched)))
                return self._end(_ended(str(watched)))

    def _end(self, message: str) -> None:
        """End this process, whatever its main thread waits for."""
        print(f"{os.path.basename(sys.argv[0])}: error: {message}", file=sys.stderr)
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(1)


def _ended(ranks: str) -> str:
    return (
        f"rank {ranks}: the process was killed or its machine is lost; the same "
        "command goes on from the newest snapshot"
    )


def _store_lost() -> str:
    return (
        "the process of rank 0 or the one that started it was killed, or its machine "
        "is lost; the same command goes on from the newest snapshot"
    )
