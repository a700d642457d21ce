"""Errors that a user caused and can repair, and how a command reports them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches


class UserError(Exception):
    """A mistake in an option or a file; the message says where, what and the remedy.

    Commands print it without a traceback and exit with ``status``.
    """

    status = 1


class UsageError(UserError):
    """An option that is wrong in itself, on the command line or in a config file."""

    status = 2


class DataError(UserError):
    """Every problem found in some data, one line each, with file:line and remedy."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest of ``known``, or an empty string."""
    names = list(known)
    longer = [k for k in names if name and k.startswith(name)]
    near = longer or get_close_matches(name, names, n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ""


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """The sentence that a value outside a list of choices deserves."""
    allowed = [choice or "''" for choice in allowed]
    hint = did_you_mean(str(value), allowed)
    return f"{name}: {value!r} is none of {', '.join(allowed)}{hint}"


def run_command(main: Callable[[Sequence[str] | None], int | None]) -> None:
    """Run a command's ``main(argv)`` and exit: 0, its status, or the error's status.

    A :class:`UserError` becomes ``<program>: error: <line>`` on stderr for each line;
    everything else keeps its traceback, because it is our mistake.
    """
    program = os.path.basename(sys.argv[0])
    try:
        status = main(None) or 0
        sys.stdout.flush()
    except UserError as error:
        for line in str(error).splitlines():
            print(f"{program}: error: {line}", file=sys.stderr)
        status = error.status
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)
