"""Load the arrays that ``data.json`` names: ``feat`` is where, ``filetype`` how."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache

import numpy as np

from espnet.data.ark import read_array, read_matrix, read_scp, read_vector
from espnet.utils import hdf5
from espnet.utils.errors import UserError, one_of

KEPT_OPEN = 8  # HDF5 files, and scp files in memory
_IN_ARK = re.compile(r":\d+(\[[\d:]*\])?$")
WITH_KEY = frozenset({"hdf5", "sound.hdf5", "npz", "scp"})  # file:key


def load_features(place: str, filetype: str = "mat") -> np.ndarray:
    """Load one array: (T, D) for ``mat``, (T,) or (T, C) for ``sound``.

    Args:
        place: ``file.ark:offset`` for mat and vec, a path for sound and npy,
            ``path:key`` for hdf5, sound.hdf5, npz and scp.
        filetype: a key of LOADERS.

    Raises:
        UserError: another filetype, or nothing readable at that place.
    """
    if filetype not in LOADERS:
        raise UserError(f"{place}: " + one_of("filetype", filetype, LOADERS))
    return LOADERS[filetype](place)


def file_of(place: str, filetype: str = "mat") -> str:
    """The file that a place is in."""
    if filetype in WITH_KEY:
        return place.rpartition(":")[0]
    if filetype in ("mat", "vec"):
        return place.partition("[")[0].rpartition(":")[0] or place
    return place


def _sound(place: str) -> np.ndarray:
    from espnet.data.audio import read_audio

    return _one_or_more(read_audio(place)[0])


def _one_or_more(samples: np.ndarray) -> np.ndarray:
    """Samples (T, C) as they are, those of one channel as (T,)."""
    return samples[:, 0] if samples.shape[1] == 1 else samples


def _npy(place: str) -> np.ndarray:
    try:
        return np.load(place, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{place}: cannot be read as npy: {error}") from None


def _npz(place: str) -> np.ndarray:
    path, key = _path_and_key(place, "npz")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[key]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{place}: cannot be read as npz: {error}") from None


def _hdf5(place: str) -> np.ndarray:
    path, key = _path_and_key(place, "hdf5")
    return _open_hdf5(path, os.getpid()).read(key)


def _sound_hdf5(place: str) -> np.ndarray:
    from espnet.data.audio import decode_audio

    path, key = _path_and_key(place, "sound.hdf5")
    content = _open_hdf5(path, os.getpid()).read(key)
    return _one_or_more(decode_audio(content.tobytes(), place)[0])


def _scp(place: str) -> np.ndarray:
    path, key = _path_and_key(place, "scp")
    table = _read_scp(path)
    if key not in table:
        raise UserError(f"{path}: has no line for '{key}'")
    value = table[key]
    return read_array(value) if _IN_ARK.search(value) else _sound(value)


class _Hdf5File:
    """A file that stays open as long as this object lives."""

    def __init__(self, path: str) -> None:
        self.path = path
        stack = ExitStack()
        self._file = stack.enter_context(hdf5.reading(path))
        weakref.finalize(self, stack.close)  # also before the interpreter ends

    def read(self, key: str) -> np.ndarray:
        return hdf5.read_dataset(self._file, key, self.path)


@lru_cache(maxsize=KEPT_OPEN)
def _open_hdf5(path: str, process: int) -> _Hdf5File:
    """The open file; ``process`` keeps readers from sharing one after a fork."""
    return _Hdf5File(path)


@lru_cache(maxsize=KEPT_OPEN)
def _read_scp(path: str) -> dict[str, str]:
    return read_scp(path)


def _path_and_key(place: str, filetype: str) -> tuple[str, str]:
    path, colon, key = place.rpartition(":")
    if not (path and colon and key):
        raise UserError(f"{place}: filetype {filetype} needs file:key")
    return path, key


LOADERS: dict[str, Callable[[str], np.ndarray]] = {
    "mat": read_matrix,
    "vec": read_vector,
    "hdf5": _hdf5,
    "sound.hdf5": _sound_hdf5,
    "sound": _sound,
    "npy": _npy,
    "npz": _npz,
    "scp": _scp,
}
