"""Where a run goes on: from a snapshot that the user names, or from the newest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet.train.checkpoint import (
    load,
    load_snapshot,
    remove_leftovers,
    save,
    snapshots,
)
from espnet.train.trainer import Trainer
from espnet.utils.errors import UserError


def resume(
    trainer: Trainer, snapshot: str | None, data: str = "--train-json and --valid-json"
) -> None:
    """Put a trainer, in all its processes, where its last run was interrupted.

    A run that was started from a named snapshot goes on from its own newer ones;
    without a name it is the newest of all.

    Args:
        trainer: freshly made.
        snapshot: the file that ``--resume`` names, if any.
        data: the options that name the data, for messages.

    Raises:
        UserError: the snapshot is not there, damaged, or of another model; or the
            newest one is of other data.
    """
    ranks = trainer.ranks
    path = _resume_first(trainer, snapshot, data) if ranks.is_first else None
    path, position = ranks.from_first((path, trainer.position))
    if path is not None and not ranks.is_first:
        trainer.restore(load_snapshot(path), str(path))
        trainer.position = position


def _resume_first(trainer: Trainer, snapshot: str | None, data: str) -> Path | None:
    """What :func:`resume` does in the process that writes; which snapshot it took."""
    outdir = trainer.options.outdir
    origin = str(Path(snapshot).resolve()) if snapshot else ""
    remove_leftovers(outdir)
    for path, content in snapshots(outdir):
        if origin and _origin(content) != origin:
            continue
        _check_program(path, content)
        if content["trainer"]["batches"] != trainer.fingerprint:
            raise UserError(
                f"{path}: belongs to other training or validation data than {data} "
                "hold now; use another --outdir"
            )
        _restore(trainer, path, content)
        return path
    if not snapshot:
        (outdir / "log").unlink(missing_ok=True)
        return None
    content = load_snapshot(snapshot)
    _check_program(Path(snapshot), content)
    _restore(trainer, Path(snapshot), content)
    trainer.position.origin = origin
    if content["trainer"]["batches"] != trainer.fingerprint:
        logging.warning(
            "%s: was trained on other data; its epoch starts anew", snapshot
        )
        trainer.position.batch = 0
    return Path(snapshot)


def _origin(content: Mapping[str, Any]) -> str | None:
    try:
        return str(content["trainer"]["position"]["origin"])
    except (KeyError, TypeError):  # a snapshot of another program
        return None


def _check_program(path: Path, content: Mapping[str, Any]) -> None:
    if _origin(content) is None:
        raise UserError(
            f"{path}: was not written by this training program; its weights can start "
            "a new run, but it cannot be continued"
        )


def _restore(trainer: Trainer, path: Path, content: Mapping[str, Any]) -> None:
    trainer.report.say(f"continuing from {path}")
    trainer.restore(content, str(path))
    folders = [path.parent]
    if trainer.position.origin:
        folders.append(Path(trainer.position.origin).parent)
    _repair_best(trainer, folders)


def _repair_best(trainer: Trainer, folders: list[Path]) -> None:
    """Make the files of best weights agree with the trainer's record of them.

    They may be missing, damaged, or newer than the snapshot, being written first.
    """
    reaction = trainer.options.reaction
    for name, best in trainer.best.items():
        if best.value is None:
            continue
        path = trainer.options.outdir / f"model.{name}.best"
        weights, problem = _try_load(path)
        wanted = None
        if best.in_snapshot:
            wanted = _from_snapshot(folders, best.epoch)
        elif weights is None:
            wanted, _ = _try_load(folders[0] / path.name)
        if wanted is not None:
            if weights is None or not _equal(weights, wanted):
                logging.warning("%s: written again as of epoch %d", path, best.epoch)
                save(wanted, path)
        elif problem and reaction is not None and reaction.metric == name:
            raise UserError(
                f"{problem}; its weights of epoch {best.epoch} are needed to go on, "
                f"and snapshot.ep.{best.epoch} does not hold them; use another --outdir"
            )
        elif problem:
            logging.warning("%s; it is written again at the next best epoch", problem)


def _try_load(path: Path) -> tuple[dict[str, Tensor] | None, str]:
    try:
        return load(path), ""
    except UserError as error:
        return None, str(error)


def _from_snapshot(folders: list[Path], epoch: int) -> dict[str, Tensor] | None:
    for folder in folders:
        try:
            weights: dict[str, Tensor] = load_snapshot(folder / f"snapshot.ep.{epoch}")[
                "model"
            ]
        except UserError:
            continue
        return weights
    return None


def _equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)
