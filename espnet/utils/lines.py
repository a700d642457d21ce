"""Text files read line by line, with file:line in every complaint.

As in Kaldi, ASCII blanks separate words: an ideographic or no-break space is part of
the word it stands in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from espnet.utils.errors import DataError, UserError

MAX_SHOWN = 1000  # nobody reads more of them


def read_lines(path: str | Path | None) -> Iterator[tuple[int, str]]:
    """Yield ``(number from 1, line without its end)``; None or ``-`` reads stdin.

    Raises:
        UserError: the file cannot be read, or a line is not UTF-8.
    """
    if path is None or str(path) == "-":
        yield from _decoded(sys.stdin.buffer, "stdin")
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115 (a read error gets other words)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    with stream:
        yield from _decoded(stream, str(path))


def _decoded(stream: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(stream, 1):
        try:
            yield number, line.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise UserError(
                f"{name}:{number}: not UTF-8 text (byte 0x{byte:02x}); convert the file"
            ) from None


def split_words(line: str) -> list[str]:
    """The words of a line."""
    return [word for word in line.replace("\t", " ").split(" ") if word]


def split_key(line: str) -> tuple[str, str]:
    """The first word of a line and the rest, without blanks around them."""
    line = line.strip(" \t\r")
    key, _, value = line.partition(" ")
    if "\t" in key:
        key, _, tail = key.partition("\t")
        value = f"{tail} {value}"
    return key, value.strip(" \t")


def read_table(path: str | Path, allow_empty: bool = False) -> dict[str, str]:
    """Read lines ``<key> <value>`` such as those of ``text`` or ``feats.scp``.

    Args:
        path: the file; ``-`` is stdin.
        allow_empty: a key may stand alone; its value is then empty.

    Returns:
        Key -> value in the order of the file; entry n is line n.

    Raises:
        UserError: the file cannot be read.
        DataError: every line without a key or value, or with a key seen before.
    """
    name = "stdin" if str(path) == "-" else path
    table: dict[str, str] = {}
    first: dict[str, int] = {}
    problems = []
    for number, line in read_lines(path):
        key, value = split_key(line)
        if not key:
            problems.append(f"{name}:{number}: empty line; delete it")
        elif first.setdefault(key, number) != number:
            problems.append(f"{name}:{number}: '{key}' is in line {first[key]} already")
        elif not value and not allow_empty:
            problems.append(f"{name}:{number}: '{key}' has nothing after it")
        table.setdefault(key, value)
    if problems:
        raise DataError(shorten(problems))
    return table


def shorten(problems: Sequence[str], limit: int = MAX_SHOWN) -> list[str]:
    """The first ``limit`` problems and, if there are more, how many."""
    more = len(problems) - limit
    return [*problems[:limit], f"... and {more} more"] if more > 0 else list(problems)
