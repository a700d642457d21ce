"""HDF5 files through h5py, which is installed only where such files are used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write, is_stream


def h5py(what: str) -> Any:
    """The package h5py.

    Raises:
        UserError: it is not installed; the message starts with ``what``.
    """
    try:
        return import_module("h5py")
    except ImportError:
        raise UserError(
            f"{what}: HDF5 files need the package h5py: pip install h5py"
        ) from None


@contextmanager
def reading(path: str | Path) -> Iterator[Any]:
    """The open file, an ``h5py.File``.

    Raises:
        UserError: h5py is not installed, or this is no HDF5 file.
    """
    module = h5py(str(path))
    try:
        file = module.File(path, "r")
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise UserError(f"{path}: {error.strerror or 'no such file'}") from None
        raise UserError(f"{path}: is no HDF5 file, or is damaged: {error}") from None
    with file:
        yield file


@contextmanager
def writing(path: str | Path) -> Iterator[Any]:
    """A new file, an ``h5py.File``, that takes its name once all is written.

    Raises:
        UserError: h5py is not installed, or the place cannot be written to.
    """
    module = h5py(str(path))
    if is_stream(path):
        raise UserError(f"{path}: HDF5 cannot be written to a stream; name a file")
    with atomic_write(path, "w+b") as stream, module.File(stream, "w") as file:
        yield file


def read_dataset(file: Any, key: str, path: str | Path) -> np.ndarray:
    """One array of an open file.

    Raises:
        UserError: there is none of that name, or it is damaged.
    """
    try:
        return np.asarray(file[key][()])
    except KeyError:
        raise UserError(f"{path}: has no data set '{key}'") from None
    except OSError as error:
        raise UserError(f"{path}: '{key}': is damaged: {error}") from None
