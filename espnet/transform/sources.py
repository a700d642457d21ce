"""Files that steps look things up in: ratios, sounds and Kaldi matrices."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from espnet.utils.errors import DataError, UserError, one_of
from espnet.utils.hdf5 import read_dataset, reading
from espnet.utils.lines import read_table, shorten


def look_up(table: dict[str, Any], key: str | None, path: str) -> Any:
    """What ``table``, read from ``path``, says of an utterance.

    Raises:
        UserError: nothing.
    """
    if key is None or key not in table:
        raise UserError(f"{path}: has no line for utterance '{key}'")
    return table[key]


def read_ratios(path: str) -> dict[str, float]:
    """Utterance -> ratio, from lines ``utterance number``.

    Raises:
        DataError: every line that is wrong.
    """
    ratios, problems = {}, []
    for number, (utt, text) in enumerate(read_table(path).items(), 1):
        try:
            ratios[utt] = float(text)
        except ValueError:
            problems.append(f"{path}:{number}: '{text}' is not a number")
    if problems:
        raise DataError(shorten(problems))
    return ratios


def sounds(path: str, filetype: str) -> Callable[[str | None], np.ndarray]:
    """A function utterance -> sound (samples,) or (samples, channels), float32.

    Args:
        path: lines ``utterance file``, or an HDF5 file.
        filetype: ``list`` or ``sound.hdf5``: an entry is a sound file's bytes.

    Raises:
        ValueError: another file type.
        UserError: the file cannot be read.
    """
    if filetype not in ("list", "sound.hdf5"):
        raise ValueError(one_of("filetype", filetype, ["list", "sound.hdf5"]))
    if filetype == "list":
        files = read_table(path)
        return lambda utt: _decode(look_up(files, utt, path), f"{path}: '{utt}'")

    entries = read_hdf5(path)
    return lambda utt: _decode(
        io.BytesIO(look_up(entries, utt, path).tobytes()), f"{path}: '{utt}'"
    )


def _decode(source: str | IO[bytes], place: str) -> np.ndarray:
    import soundfile

    try:
        return soundfile.read(source, dtype="float32")[0]
    except (RuntimeError, OSError) as error:
        raise UserError(f"{place}: cannot be read as sound: {error}") from None


def read_hdf5(path: str) -> dict[str, np.ndarray]:
    """Data sets of an HDF5 file by their names.

    Raises:
        UserError: h5py is not installed, or the file cannot be read.
    """
    with reading(path) as file:
        return {name: read_dataset(file, name, path) for name in file}


def read_npy(path: str) -> np.ndarray:
    """The array of a numpy file.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a numpy array: {error}") from None


def read_kaldi(path: str) -> dict[str | None, np.ndarray]:
    """Matrices of a Kaldi file, binary or text: an archive, or one without a key.

    Statistics are small; features are read by :mod:`espnet.data.ark`.

    Returns:
        Key -> float64 matrix; the key of a matrix without one is None.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    stream = io.BytesIO(content)
    try:
        if content[:2] == b"\0B" or content.lstrip()[:1] == b"[":
            return {None: _matrix(stream)}
        matrices: dict[str | None, np.ndarray] = {}
        while key := _word(stream):
            matrices[key.decode()] = _matrix(stream)
    except (ValueError, struct.error):
        raise UserError(f"{path}: not a Kaldi matrix or archive of them") from None
    if not matrices:
        raise UserError(f"{path}: is empty, must hold Kaldi matrices")
    return matrices


def _word(stream: IO[bytes]) -> bytes:
    """The bytes before the next blank; white space before them is skipped."""
    word = b""
    while byte := stream.read(1):
        if byte == b" " and word:
            break
        word += byte.strip()
    return word


def _matrix(stream: IO[bytes]) -> np.ndarray:
    """A float or double matrix from here on.

    Raises:
        ValueError, struct.error: it is none.
    """
    start = stream.tell()
    if stream.read(2) != b"\0B":
        stream.seek(start)
        return _text_matrix(stream)
    kind = {b"FM ": "<f4", b"DM ": "<f8"}.get(stream.read(3))
    if kind is None:
        raise ValueError("not a float or double matrix")
    _, rows, _, columns = struct.unpack("<bibi", stream.read(10))
    size = rows * columns * np.dtype(kind).itemsize
    values = np.frombuffer(stream.read(size), dtype=kind)
    return values.reshape(rows, columns).astype(np.float64)


def _text_matrix(stream: IO[bytes]) -> np.ndarray:
    text = b""
    while b"]" not in text:
        line = stream.readline()
        if not line:
            raise ValueError("no closing bracket")
        text += line
    rows = [row.split() for row in text.strip().strip(b"[]").split(b"\n")]
    return np.array([row for row in rows if row], dtype=np.float64)
