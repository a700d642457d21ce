"""Kaldi's rspecifiers and wspecifiers: ``scp:FILE``, ``ark:FILE``, ``ark,scp:A,B``.

``-`` is stdin or stdout; an input that ends in ``|`` is a command.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

from espnet.data.ark import (
    COMPRESSION_METHODS,
    SPEECH_FEATURE,
    ArkWriter,
    iter_ark,
    iter_matrices,
    open_ark_writer,
)
from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write
from espnet.utils.options import option

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
    kind, name = _split(rspecifier, ("ark", "scp"), _READ_HINTS, "rspecifier")
    if kind == "scp":
        yield from iter_matrices(name, dtype)
        return
    with _open_input(name) as stream:
        yield from iter_ark(stream, name, dtype)


def open_table(
    wspecifier: str, *, compress: bool = False, method: int = SPEECH_FEATURE
) -> AbstractContextManager[ArkWriter]:
    """A writer for ``ark:FILE``, ``ark,t:FILE`` or ``ark,scp:ARK,SCP``.

    Raises:
        UserError: no wspecifier.
    """
    kinds, colon, names = wspecifier.partition(":")
    words = kinds.split(",")
    text = "t" in words
    tables = [word for word in words if word not in _WRITE_HINTS]
    if colon and tables in (["ark", "scp"], ["scp", "ark"]):
        files = dict(zip(tables, names.split(","), strict=False))
        if len(files) == 2 and all(files.values()):
            return open_ark_writer(
                files["ark"], files["scp"], compress=compress, method=method, text=text
            )
    elif colon and tables == ["ark"] and names:
        return open_ark_writer(names, compress=compress, method=method, text=text)
    raise UserError(
        f"'{wspecifier}' is no wspecifier: expected ark:FILE, ark,t:FILE or "
        "ark,scp:ARK,SCP"
    )


@dataclass(frozen=True)
class TableOptions:
    """Options of the programs that read one table and write another."""

    in_filetype: str = option("mat", "kind of input", choices=("mat",))
    out_filetype: str = option("mat", "kind of output", choices=("mat",))
    write_num_frames: str = option("", "ark,t:FILE for <utt> <frames> lines")
    compress: bool = option(False, "store with Kaldi's lossy compression")
    compression_method: int = option(
        SPEECH_FEATURE, "Kaldi's number: 1 automatic, 2 speech features, ... 7"
    )
    verbose: int = option(0, "1: say what is done", aliases=("-V",))

    def check(self) -> None:
        """Refuse unknown compression methods."""
        if self.compression_method not in COMPRESSION_METHODS:
            raise UserError(
                f"--compression-method={self.compression_method}: must be 1 to 7"
            )


def convert_table(
    table: Iterable[tuple[str, np.ndarray]],
    wspecifier: str,
    convert: Callable[[str, np.ndarray], np.ndarray],
    options: TableOptions,
) -> int:
    """Write ``convert(key, matrix)`` of each entry of a table; returns their number.

    Raises:
        UserError: from the reader, the conversion or the writer; nothing is kept then.
    """
    done = 0
    counts = options.write_num_frames
    with ExitStack() as stack:
        writer = stack.enter_context(
            open_table(
                wspecifier,
                compress=options.compress,
                method=options.compression_method,
            )
        )
        lines = (
            stack.enter_context(atomic_write(plain_path(counts))) if counts else None
        )
        for key, matrix in table:
            try:
                converted = convert(key, matrix)
            except UserError as error:
                raise UserError(f"{key}: {error}") from None
            writer.write(key, converted)
            if lines is not None:
                lines.write(f"{key} {len(converted)}\n")
            done += 1
    logging.info("%d matrices written to %s", done, wspecifier)
    return done


def plain_path(text: str) -> str:
    """The file of a text table that may be given as ``ark:FILE`` or ``ark,t:FILE``."""
    return text.partition(":")[2] if is_specifier(text) else text


def _split(
    specifier: str, kinds: tuple[str, ...], hints: frozenset[str], what: str
) -> tuple[str, str]:
    head, colon, name = specifier.partition(":")
    words = head.split(",")
    tables = [word for word in words if word not in hints]
    if not colon or not name.strip() or len(tables) != 1 or tables[0] not in kinds:
        forms = " or ".join(f"{kind}:FILE" for kind in kinds)
        raise UserError(f"'{specifier}' is no {what}: expected {forms}")
    return tables[0], name.strip()


@contextmanager
def _open_input(name: str) -> Iterator[IO[bytes]]:
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
