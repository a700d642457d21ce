"""Tidying up when the launcher is told to end (Ctrl-C, kill, a closed terminal)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def end_with(tidy_up: Callable[[], None]) -> Iterator[None]:
    """Call ``tidy_up`` when a signal tells this process to end, then end of it.

    The shell that called us sees why we ended. Under ``nohup`` a hang-up stays ignored.
    """

    def end(number: int, frame: FrameType | None) -> None:
        for other in ENDING:
            signal.signal(other, signal.SIG_IGN)  # once is enough
        tidy_up()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    numbers = list(ENDING)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        numbers.remove(signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # Python allows it nowhere else
    earlier = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
