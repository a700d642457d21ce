"""How a job ended, in numbers and in words."""

from __future__ import annotations

import signal
from dataclasses import dataclass

CODES: dict[int, str] = {
    126: "found, but not allowed to run; is its executable bit set?",
    127: "command not found; has path.sh been sourced?",
}
SIGNALS: dict[int, str] = {
    signal.SIGKILL: "probably out of memory",
    signal.SIGSEGV: "a crash in compiled code",
    signal.SIGPIPE: "the reader at the end of a pipe ended first",
}


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        code: its exit code (see :func:`describe`), None if it left none behind.
        reason: what else is known, as the rest of the sentence "this job ...".
        messages: what others than the job wrote about it, line by line.
    """

    code: int | None
    reason: str = ""
    messages: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """A sentence for the code, one for the reason, and the messages."""
        ended = [] if self.code is None else [f"ended with {describe(self.code)}"]
        reason = [self.reason] if self.reason else []
        return [*(f"this job {text}" for text in ended + reason), *self.messages]


def describe(code: int) -> str:
    """An exit code in words; -S and 128 + S both say that signal S ended the job."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit code {code}" + (f": {CODES[code]}" if code in CODES else "")
    words = f"exit code {128 + number}: killed by signal {number} ({name})"
    return words + (f", {SIGNALS[number]}" if number in SIGNALS else "")
