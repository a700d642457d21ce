"""Kaldi archives: matrices and vectors in ``.ark`` files, and their ``.scp`` indexes.

A place is written ``file.ark:offset`` as in feats.scp and data.json, optionally with a
row range ``[first:last]`` (both included). This is the only file that knows kaldiio.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from kaldiio import matio
from kaldiio.utils import MultiFileDescriptor
from numpy.typing import DTypeLike

from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write, is_stream
from espnet.utils.lines import read_lines, read_table, split_key

SPEECH_FEATURE = 2  # Kaldi's compression method for features: 8 bits, scaled by column
COMPRESSION_METHODS = range(1, 8)
_PLACE = re.compile(r"^(?P<path>.+?)(:(?P<offset>\d+))?(\[(?P<rows>\d*:\d*)\])?$")


class ScpLine(NamedTuple):
    """One line of an scp file and its number, counted from 1."""

    number: int
    key: str
    value: str


def iter_scp(path: str | Path) -> Iterator[ScpLine]:
    """Read ``<key> <value>`` lines one by one, without looking for duplicates.

    Raises:
        UserError: the file is missing, or a line has a key only (``file:line``).
    """
    for number, line in read_lines(path):
        key, value = split_key(line)
        if not value:
            raise UserError(f"{path}:{number}: expected '<key> <value>', has '{line}'")
        yield ScpLine(number, key, value)


def read_scp(path: str | Path) -> dict[str, str]:
    """Read a whole scp file, keys in the file's order.

    Raises:
        DataError: every line without key or value, and every duplicate key.
        UserError: the file is missing.
    """
    return read_table(path)


def read_matrix(place: str) -> np.ndarray:
    """Read the matrix at ``file.ark:offset``: (T, D) float32, contiguous, writable.

    Raises:
        UserError: no such file, not a matrix there, or the file ends too early.
    """
    return _checked(_read_place(place), 2, place)


def read_vector(place: str) -> np.ndarray:
    """Read the vector at ``file.ark:offset``: (D,) float32, or int32 as stored."""
    return _checked(_read_place(place), 1, place)


def read_array(place: str) -> np.ndarray:
    """Read what is at ``file.ark:offset``: a matrix (T, D), or samples as a vector."""
    array = _read_place(place)
    return _checked(array, array.ndim, place)


def read_global(path: str) -> np.ndarray:
    """Read one matrix without a key (``-``: stdin), such as CMVN sums: float64."""
    with _opened(path) as stream:
        return np.asarray(_read_record(stream, path), dtype=np.float64)


def write_global(path: str, matrix: np.ndarray) -> None:
    """Write one double matrix without a key (``-``: stdout)."""
    with atomic_write(path, "wb") as stream:
        matio.write_array(stream, np.asarray(matrix, dtype=np.float64))


def iter_shapes(
    places: Iterable[tuple[str, str]],
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Shapes of many ``(key, place)``, from headers where arrays have one.

    Consecutive places in one ark open it once.

    Raises:
        UserError: as :func:`read_matrix`.
    """
    with _ArkCache() as arks:
        for key, place in places:
            stream, rows = arks.seek(place)
            shape = None if rows else _header_shape(stream)
            if shape is None:
                arks.seek(place)
                shape = _read_record(stream, place)[rows or slice(None)].shape
            yield key, shape


def iter_matrices(
    scp: str | Path, dtype: DTypeLike = np.float32
) -> Iterator[tuple[str, np.ndarray]]:
    """Read the matrices (T, D) of an scp file in order, one in memory at a time."""
    return read_matrices(iter_scp(scp), str(scp), dtype)


def read_matrices(
    lines: Iterable[ScpLine], scp: str, dtype: DTypeLike = np.float32
) -> Iterator[tuple[str, np.ndarray]]:
    """Like :func:`iter_matrices` for some lines of the file ``scp``."""
    for (number, key, place), array in read_arrays(lines, scp):
        try:
            yield key, _checked(array, 2, place, dtype)
        except UserError as error:
            raise UserError(f"{scp}:{number}: {key}: {error}") from error


def read_arrays(
    lines: Iterable[ScpLine], scp: str
) -> Iterator[tuple[ScpLine, np.ndarray]]:
    """The matrices and vectors of some lines of the file ``scp``, as they are stored.

    Consecutive places in one ark open it once.
    """
    with _ArkCache() as arks:
        for line in lines:
            try:
                stream, rows = arks.seek(line.value)
                array = _read_record(stream, line.value)[rows or slice(None)]
            except UserError as error:
                raise UserError(f"{scp}:{line.number}: {line.key}: {error}") from error
            yield line, array


def iter_ark(
    stream: IO[bytes], name: str, dtype: DTypeLike = np.float32, ndim: int | None = 2
) -> Iterator[tuple[str, np.ndarray]]:
    """Read the ``<key> <matrix>`` records of an open ark (binary or text) in order.

    Args:
        stream: binary.
        name: of it, for messages.
        dtype: of the arrays.
        ndim: what they must be: 2 matrices, 1 vectors, None either.
    """
    while (key := _read_key(stream, name)) is not None:
        where = f"{name}: {key}"
        array = _read_record(stream, where)
        yield key, _checked(array, ndim or array.ndim, where, dtype)


def _read_key(stream: IO[bytes], name: str) -> str | None:
    """The key of the next record; None at the end."""
    try:
        key = matio.read_token(stream)
    except UnicodeDecodeError:
        raise UserError(
            f"{name}: damaged, or no archive: no key is where one must be; write it "
            "again"
        ) from None
    return key if key is None else key.strip()


class ArkWriter:
    """Appends ``<key> <array>`` records; made by :func:`open_ark_writer`."""

    def __init__(
        self, ark: IO[bytes], scp: IO[str] | None, name: str, method: int, text: bool
    ) -> None:
        self._ark, self._scp, self._name = ark, scp, name
        self._method, self._text = method, text
        self._offset = 0

    def write(self, key: str, array: np.ndarray) -> None:
        """Write one matrix (T, D) or vector of float32 or float64.

        Raises:
            UserError: values that are not finite, which compression cannot hold.
        """
        method = self._method if array.ndim == 2 and array.size else 0
        if method and not np.isfinite(array).all():
            raise UserError(f"{key}: has NaN or infinite values, not written")
        head = f"{key} ".encode()
        self._ark.write(head)
        self._offset += len(head)
        if self._scp is not None:
            self._scp.write(f"{key} {self._name}:{self._offset}\n")
        if self._text:
            self._offset += matio.write_array_ascii(self._ark, array)
        else:
            self._offset += matio.write_array(
                self._ark, array, compression_method=method or None
            )


@contextmanager
def open_ark_writer(
    ark: str | Path,
    scp: str | Path | None = None,
    *,
    compress: bool = False,
    method: int = SPEECH_FEATURE,
    text: bool = False,
) -> Iterator[ArkWriter]:
    """Write an ark and its scp under temporary names; both appear when all is written.

    Args:
        ark: the file, ``-`` for stdout or ``| command`` (both without scp). Written to
            scp as given.
        scp: the index file, if wanted.
        compress: store matrices with Kaldi's lossy compression.
        method: Kaldi's number for it: 1 automatic, 2 speech features, ... 7.
        text: Kaldi's text form.

    Raises:
        UserError: a place cannot be written to, the command failed, or an scp file is
            wanted of a stream.
    """
    name = str(ark)
    if scp is not None and (name.startswith("|") or is_stream(ark)):
        raise UserError(f"{scp}: cannot be an index of '{name}'; name a file for it")
    with ExitStack() as stack:
        index = stack.enter_context(atomic_write(scp)) if scp is not None else None
        output = _piped(name[1:]) if name.startswith("|") else atomic_write(ark, "wb")
        data = stack.enter_context(output)  # renamed before its scp
        yield ArkWriter(data, index, name, method if compress else 0, text)


@contextmanager
def _piped(command: str) -> Iterator[IO[bytes]]:
    """The stdin of a command of the shell."""
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        yield process.stdin
    except BrokenPipeError:  # it ended early, for a reason that its status tells
        pass
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        status = process.wait()
    if status:
        raise UserError(f"|{command}: failed with status {status}")


class _ArkCache:
    """Keeps the ark that was read last open."""

    def __init__(self) -> None:
        self._path = ""
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> _ArkCache:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def seek(self, place: str) -> tuple[IO[bytes], slice | None]:
        """The stream at the record of ``place``, and the rows wanted of it."""
        path, offset, rows = _parse_place(place)
        if self._stream is None or path != self._path:
            if self._stream is not None:
                self._stream.close()
            self._stream, self._path = _open_file(path), path
        self._stream.seek(offset)
        return self._stream, rows


def _read_place(place: str) -> np.ndarray:
    with _ArkCache() as arks:
        stream, rows = arks.seek(place)
        array = _read_record(stream, place)
    return array if rows is None else array[rows]


def _parse_place(place: str) -> tuple[str, int, slice | None]:
    match = _PLACE.match(place)
    if match is None or place.endswith("|"):
        raise UserError(
            f"'{place}' is not a place in an ark file: expected 'file.ark:offset'"
        )
    rows = None
    if match["rows"]:
        first, last = match["rows"].split(":")
        rows = slice(int(first or 0), int(last) + 1 if last else None)
    return match["path"], int(match["offset"] or 0), rows


def _open_file(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    with _open_file(path) as stream:
        yield stream


def _read_record(stream: Any, name: str) -> np.ndarray:
    """Read one array; kaldiio's own reader would also unpickle, so it is not asked."""
    head = stream.read(3)
    whole = MultiFileDescriptor(BytesIO(head), stream)  # a pipe cannot seek back
    try:
        if head == b"\0B\4":
            return matio.read_int32vector(whole)
        if head[:2] == b"\0B":
            return matio.read_matrix_or_vector(whole)
        if head[:1] in (b" ", b"\n", b"["):
            return matio.read_ascii_mat(whole)
    except (AssertionError, ValueError, RuntimeError, struct.error) as error:
        reason = str(error) or "unexpected bytes"
        raise UserError(
            f"{name}: damaged or cut off ({reason}); write the archive again"
        ) from error
    if not head:
        raise UserError(f"{name}: the file ends before this place")
    raise UserError(f"{name}: no Kaldi matrix or vector starts at this place")


def _header_shape(stream: Any) -> tuple[int, ...] | None:
    """The shape that a binary record's header tells; None for other records."""
    head = stream.read(32)
    kind, _, rest = head[2:].partition(b" ")
    if head[:2] != b"\0B" or len(rest) < 5:
        return None
    if kind in (b"CM", b"CM2", b"CM3") and len(rest) >= 16:
        return struct.unpack("<ii", rest[8:16])
    if kind in (b"FM", b"DM") and len(rest) >= 10:
        return struct.unpack("<xixi", rest[:10])
    if kind in (b"FV", b"DV"):
        return struct.unpack("<xi", rest[:5])
    return None


def _checked(
    array: np.ndarray, ndim: int, place: str, dtype: DTypeLike = np.float32
) -> np.ndarray:
    if array.ndim != ndim:
        kinds = {1: "vector", 2: "matrix"}
        raise UserError(f"{place}: holds no {kinds[ndim]}, its shape is {array.shape}")
    if array.dtype == np.int32 and ndim == 1:
        return array
    return np.array(array, dtype=dtype, order="C")
