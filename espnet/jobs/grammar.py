"""The command line that Kaldi's launchers share, read once for all of them.

``[options] [NAME=first:last | NAME=n] LOG COMMAND...``; options may also follow the
range.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from espnet.utils.errors import UserError

USAGE = "[options] [JOB=1:N] LOG COMMAND..."
# Options of Grid Engine's qsub, with the number of words that follow each.
SINGLE_DASH = {"-V": 0, "-cwd": 0, "-tc": 1, "-sync": 1, "-pe": 2}


@dataclass(frozen=True)
class Request:
    """What a launcher was asked to do.

    Attributes:
        words: the arguments as they were given, without the program's name.
        options: ``--some-name value`` as ``{"some_name": "value"}``.
        passed_on: options with one dash, each with its words, which only a cluster's
            own submit command understands.
        name: what stands for the job number, None without a range.
        first, last: the job numbers; 1, 1 without a range.
        log: the log file, still with ``name`` in it.
        command: one line of bash, still with ``name`` in it.
    """

    words: tuple[str, ...]
    log: str
    command: str
    name: str | None = None
    first: int = 1
    last: int = 1
    options: dict[str, str] = field(default_factory=dict)
    passed_on: tuple[tuple[str, ...], ...] = ()

    @property
    def jobs(self) -> range:
        """The job numbers."""
        return range(self.first, self.last + 1)

    def fill(self, text: str, job: int | str) -> str:
        """``text`` (log or command) for one job; ``*`` stands for all."""
        return text.replace(self.name, str(job)) if self.name else text

    @property
    def max_jobs_run(self) -> int | None:
        """``--max-jobs-run``, if given.

        Raises:
            UserError: it is not a number above 0.
        """
        if "max_jobs_run" not in self.options:
            return None
        count = self.number("max_jobs_run", 0)
        if count == 0:
            raise UserError("--max-jobs-run must be at least 1, got 0")
        return count

    def number(self, option: str, default: int) -> int:
        """The whole number >= 0 given for ``--option``.

        Raises:
            UserError: something else was given.
        """
        text = self.options.get(option)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]+", text):
            flag = "--" + option.replace("_", "-")
            raise UserError(f"{flag} wants a whole number, got '{text}'")
        return int(text)


def parse(words: Sequence[str]) -> Request:
    """Read a launcher's arguments.

    Raises:
        UserError: the line does not follow the grammar.
    """
    words = list(words)
    rest, options, passed_on = _take_options(words)
    name, first, last = None, 1, 1
    if rest and _is_range(rest[0]):
        name, first, last = _parse_range(rest[0])
        rest, later, later_passed_on = _take_options(rest[1:])
        options.update(later)
        passed_on += later_passed_on
    if len(rest) < 2:
        missing = "the log file and the command" if not rest else "the command"
        raise UserError(f"{missing} is missing; usage: {USAGE}")
    log = rest[0]
    if last > first and name is not None and name not in log:
        raise UserError(
            f"the log file '{log}' must have {name} in its name, so that the jobs "
            f"{first} to {last} do not write to the same one"
        )
    if os.path.isfile(log) and os.access(log, os.X_OK):
        raise UserError(
            f"the log file '{log}' is a program; is the log file's name missing before "
            f"it? usage: {USAGE}"
        )
    return Request(
        words=tuple(words),
        log=log,
        command=" ".join(quote(word) for word in rest[1:]),
        name=name,
        first=first,
        last=last,
        options=options,
        passed_on=tuple(passed_on),
    )


def quote(word: str) -> str:
    """One argument as it stands in the line that bash runs.

    A word without blanks stays raw, so that ``\\|`` and ``\\>`` on the launcher's line
    act as operators of the job; any other is quoted: with double quotes (``$x`` is
    expanded in the job), or with single ones if it has a double quote in it.
    """
    if re.fullmatch(r"\S+", word):
        return word
    if '"' in word:
        return "'" + word.replace("'", "'\\''") + "'"
    return f'"{word}"'


def _take_options(
    words: Sequence[str],
) -> tuple[list[str], dict[str, str], list[tuple[str, ...]]]:
    """Split leading options off: (the rest, long options, those with one dash)."""
    rest = list(words)
    options: dict[str, str] = {}
    passed_on: list[tuple[str, ...]] = []
    while rest and rest[0].startswith("-"):
        flag = rest[0]
        if "=" in flag:
            name, _, value = flag.partition("=")
            raise UserError(f"write '{flag}' as '{name} {value}'")
        count = SINGLE_DASH.get(flag, 1)
        if len(rest) <= count:
            raise UserError(f"option {flag} wants a value")
        if flag == "-tc":
            options["max_jobs_run"] = rest[1]
        elif flag.startswith("--"):
            options[flag[2:].replace("-", "_")] = rest[1]
        else:
            passed_on.append(tuple(rest[: count + 1]))
        del rest[: count + 1]
    return rest, options, passed_on


def _is_range(word: str) -> bool:
    """Whether a word is meant as a range, right or wrong; a log has a dot or slash."""
    return re.fullmatch(r"[A-Za-z_]\w*=[^./]*", word) is not None


def _parse_range(word: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"([A-Za-z_]\w*)=([0-9]+)(?::([0-9]+))?", word)
    if match is None:
        raise UserError(
            f"'{word}' is not a range of jobs; write it like JOB=1:8 or JOB=3"
        )
    name, first = match[1], int(match[2])
    last = int(match[3] or first)
    if first < 1 or last < first:
        raise UserError(
            f"'{word}' is not a range of jobs: it must start at 1 or more and not end "
            "before it starts"
        )
    return name, first, last
