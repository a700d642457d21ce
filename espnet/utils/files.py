"""Files that are either whole or not there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from espnet.utils.errors import UserError

# where a name may lead to a file that belongs to somebody else, as /dev/stdout does
STREAMS = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside ``path`` that takes its name once all is written.

    Whatever interrupts the writer (an error, a full disk, a signal) leaves an earlier
    ``path`` as it was and no half-written one. Missing folders are made. What is no
    plain file (``-`` for stdout, ``/dev/null``, a pipe) gets the text as it comes:
    nothing may take the place of a device.

    Raises:
        UserError: the folder cannot be made or written to, or the disk is full.
    """
    if str(path) == "-":
        stdout = sys.stdout.buffer if "b" in mode else sys.stdout
        yield stdout
        stdout.flush()
        return
    path = Path(path)
    if is_stream(path):
        with open(path, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
        return
    make_folder_of(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    encoding = None if "b" in mode else "utf-8"
    try:
        with open(temporary, mode, encoding=encoding) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BrokenPipeError:  # of another stream that is written meanwhile
        raise
    except OSError as error:
        if error.filename not in (None, str(temporary)):  # of another file
            raise
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def is_stream(path: str | Path) -> bool:
    """Whether it is stdout (``-``), a device or a pipe: written to, never replaced."""
    path = Path(path)
    if str(path) == "-" or path.parent in STREAMS:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def make_folder_of(path: str | Path) -> None:
    """Make the folder of a file that will be written, perhaps only after hours.

    Raises:
        UserError: it cannot be made, or nothing can be written to it; or the file is a
            folder itself.
    """
    if is_stream(path):
        return
    if Path(path).is_dir():
        raise UserError(f"{path}: cannot be written: Is a directory; name a file")
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{path}: cannot be written: no right to write to its folder; name another"
        )


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted; linked folders are entered, once each."""
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names]
    return sorted(path for path in found if path.is_file())


def remove_folder(path: str | Path) -> None:
    """Remove a folder into which other processes may be writing; what fails is left.

    It gets another name first: where a file comes in while the others are deleted, the
    folder would stay.
    """
    path = Path(path)
    gone = path.with_name(f".{path.name}.{os.getpid()}.gone")
    with suppress(OSError):
        path = path.rename(gone)
    shutil.rmtree(path, ignore_errors=True)


def _cannot_write(path: str | Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: cannot be written: {error.strerror}; make room or name another place"
    )
