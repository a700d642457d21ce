"""Kaldi's rspecifiers and wspecifiers: ``scp:FILE``, ``ark:FILE``, ``ark,scp:A,B``.

``-`` is stdin or stdout; an input that ends in ``|`` is a command, as is an output that
begins with it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from espnet.data.ark import iter_ark, iter_matrices
from espnet.utils.errors import UserError

# sorted, called sorted, once, their opposites, text, binary: they change nothing here
_READ_HINTS = frozenset({"s", "cs", "o", "ns", "ncs", "no", "t", "b"})
_WRITE_HINTS = frozenset({"t", "b", "f", "nf"})


def is_specifier(text: str) -> bool:
    """Whether a text names a table (``ark:...``) rather than a file with one matrix."""
    return text.partition(":")[0].split(",")[0] in ("ark", "scp") and ":" in text


def read_table(
    rspecifier: str, dtype: DTypeLike = np.float32
) -> Iterator[tuple[str, np.ndarray]]:
    """Read ``(key, matrix)`` in order, one in memory at a time.

    Raises:
        UserError: no rspecifier, a missing or damaged file, a command that failed.
    """
    kind, name = parse_rspecifier(rspecifier)
    if kind == "scp":
        yield from iter_matrices(name, dtype)
        return
    with open_input(name) as stream:
        yield from iter_ark(stream, name, dtype)


def plain_path(text: str) -> str:
    """The file of a text table that may be given as ``ark:FILE`` or ``ark,t:FILE``."""
    return text.partition(":")[2] if is_specifier(text) else text


def parse_rspecifier(text: str) -> tuple[str, str]:
    """``scp:FILE`` or ``ark:FILE`` -> (``scp`` or ``ark``, FILE).

    Raises:
        UserError: it is neither.
    """
    head, colon, name = text.partition(":")
    tables = [word for word in head.split(",") if word not in _READ_HINTS]
    if not colon or not name.strip() or tables not in (["ark"], ["scp"]):
        raise UserError(f"'{text}' is no rspecifier: expected ark:FILE or scp:FILE")
    return tables[0], name.strip()


class Destination(NamedTuple):
    """What a wspecifier names: the archive, its index, and whether it is text."""

    ark: str
    scp: str | None
    text: bool


def parse_wspecifier(wspecifier: str) -> Destination:
    """``ark:FILE``, ``ark,t:FILE`` or ``ark,scp:ARK,SCP``.

    Raises:
        UserError: it is none of these.
    """
    kinds, colon, names = wspecifier.partition(":")
    words = kinds.split(",")
    text = "t" in words
    tables = [word for word in words if word not in _WRITE_HINTS]
    if colon and tables in (["ark", "scp"], ["scp", "ark"]):
        files = dict(zip(tables, names.split(","), strict=False))
        if len(files) == 2 and all(files.values()):
            return Destination(files["ark"], files["scp"], text)
    elif colon and tables == ["ark"] and names:
        return Destination(names.strip(), None, text)
    raise UserError(
        f"'{wspecifier}' is no wspecifier: expected ark:FILE, ark,t:FILE or "
        "ark,scp:ARK,SCP"
    )


@contextmanager
def open_input(name: str) -> Iterator[IO[bytes]]:
    """A binary file, stdin (``-``) or the output of ``command |``.

    Raises:
        UserError: there is no such file, or the command failed.
    """
    if name == "-":
        yield sys.stdin.buffer
    elif name.endswith("|"):
        with subprocess.Popen(name[:-1], shell=True, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process.stdout
        if process.returncode:
            raise UserError(f"{name}: failed with status {process.returncode}")
    else:
        try:
            stream = open(name, "rb")  # noqa: SIM115
        except OSError as error:
            raise UserError(f"{name}: {error.strerror}") from None
        with stream:
            yield stream
