"""Snapshots and weights on disk: whole or not there, and refused by name if damaged.

A snapshot is a dict with the keys ``model``, ``optimizer`` and ``trainer`` made of
tensors, numbers and strings only, so that reading one never runs code.
"""

from __future__ import annotations

import heapq
import json
import logging
import random
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write

SNAPSHOT_KEYS = ("model", "optimizer", "trainer")
_SNAPSHOT_NAME = re.compile(r"snapshot\.(ep|iter)\.(\d+)$")


class DamagedFile(UserError):
    """A file that is cut off, or is not what its name says."""


def save(content: Mapping[str, Any], path: str | Path) -> None:
    """Write tensors, numbers and strings; an earlier file stays until all is written.

    Raises:
        UserError: the disk is full or not writable.
    """
    try:
        with atomic_write(path, "wb") as stream:
            torch.save(dict(content), stream)
    except RuntimeError as error:  # torch makes it of an OSError
        cause = error.__context__
        if not isinstance(cause, OSError):
            raise
        raise UserError(
            f"{path}: cannot be written: {cause.strerror}; repair that and run the "
            "same command again, it continues from the newest snapshot"
        ) from error


def load(path: str | Path) -> dict[str, Any]:
    """Read what :func:`save` wrote, onto the CPU, without running any code in it.

    Raises:
        UserError: the file is not there.
        DamagedFile: it cannot be read.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):  # its table of contents is written last
        size = Path(path).stat().st_size
        raise DamagedFile(
            f"{path}: is cut short after {size} bytes (was the disk full?), or is no "
            "file of this toolkit"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise DamagedFile(f"{path}: is damaged ({reason})") from error
    if not isinstance(content, dict):
        raise DamagedFile(f"{path}: holds no weights but a {type(content).__name__}")
    return content


def load_snapshot(path: str | Path) -> dict[str, Any]:
    """Read a snapshot: ``model``, ``optimizer`` and ``trainer``.

    Raises:
        UserError: the file is not there.
        DamagedFile: it cannot be read or is not a snapshot.
    """
    content = load(path)
    missing = [key for key in SNAPSHOT_KEYS if key not in content]
    if missing:
        raise DamagedFile(
            f"{path}: is no snapshot, '{missing[0]}' is missing; one is named "
            "snapshot.ep.N and is written after each epoch"
        )
    return content


def snapshots(outdir: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Read the snapshots of a directory, newest first; damaged ones are named.

    How far one is, it says itself: after ``--resume`` from other data, the number of
    updates does not follow from that of epochs.
    """
    kinds = [_readable(outdir, kind) for kind in ("ep", "iter")]
    yield from heapq.merge(*kinds, key=lambda found: _place(found[1]), reverse=True)


def _readable(outdir: str | Path, wanted: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Read the snapshots of one kind, highest number first."""
    found = [(number, path) for kind, number, path in _found(outdir) if kind == wanted]
    for _, path in sorted(found, reverse=True):
        try:
            yield path, load_snapshot(path)
        except DamagedFile as error:
            logging.warning("%s; trying the one before", error)


def _place(content: Mapping[str, Any]) -> tuple[int, int]:
    """Epochs done, and minibatches of the next; of another program's snapshot, none."""
    try:
        position = content["trainer"]["position"]
        return int(position["epoch"]), int(position["batch"])
    except (LookupError, TypeError, ValueError):
        return -1, -1


def drop_snapshots(
    outdir: str | Path, keep: int, last_epoch: int, last_iteration: int
) -> None:
    """Delete what is older than the newest ``keep`` of each kind.

    Those behind the last epoch and iteration are another run's, and remain.
    """
    for kind, last in (("ep", last_epoch), ("iter", last_iteration)):
        found = [(n, path) for k, n, path in _found(outdir) if k == kind and n <= last]
        for _, path in sorted(found)[:-keep]:
            path.unlink(missing_ok=True)


def _found(outdir: str | Path) -> Iterator[tuple[str, int, Path]]:
    """Kind ``ep`` or ``iter``, number and path of each snapshot of a directory."""
    for path in Path(outdir).glob("snapshot.*"):
        match = _SNAPSHOT_NAME.match(path.name)
        if match:
            yield match[1], int(match[2]), path


def remove_leftovers(outdir: str | Path) -> None:
    """Delete what killed writers left: their temporary files."""
    for path in Path(outdir).glob(".*.tmp"):
        path.unlink(missing_ok=True)


def random_state() -> dict[str, Any]:
    """The state of every global random generator, and of the current GPU's."""
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": json.dumps(random.getstate()),
        "numpy": {
            "kind": str(kind),
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put every global random number generator into a state."""
    version, internal, gauss = json.loads(state["python"])
    random.setstate((version, tuple(internal), gauss))
    numpy = state["numpy"]
    keys = numpy["keys"].numpy().astype(np.uint32)
    np.random.set_state(
        (numpy["kind"], keys, numpy["position"], numpy["has_gauss"], numpy["cached"])
    )
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state(state["cuda"][0])
