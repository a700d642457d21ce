"""Says where a training hangs."""

from __future__ import annotations

import faulthandler
import logging
import sys
import time

RENEWAL = 0.1  # share of the time after which a step renews the alarm


class Watchdog:
    """Prints the stack of every thread to stderr when no step comes for a while.

    It does so from outside the interpreter, which may itself be stuck, and again after
    each further while. With several processes each prints its own.

    Args:
        seconds: the while; 0: it never barks.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._renewed = 0.0

    def __enter__(self) -> Watchdog:
        if self.seconds:
            logging.info("stacks are printed after %g s without a step", self.seconds)
        self.step()
        return self

    def __exit__(self, *_: object) -> None:
        if self.seconds:
            faulthandler.cancel_dump_traceback_later()

    def step(self) -> None:
        """Training goes on."""
        now = time.monotonic()
        if self.seconds and now - self._renewed > RENEWAL * self.seconds:
            self._renewed = now
            faulthandler.dump_traceback_later(
                self.seconds, repeat=True, file=sys.__stderr__ or sys.stderr
            )
