"""A request to end (SIGTERM), as queues send it before they take a machine away."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """Notes SIGTERM while its context lasts; training looks after each update.

    Attributes:
        is_made: whether the signal came.
    """

    def __init__(self) -> None:
        self.is_made = False
        self._before: Any = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_made = True
