"""Choose among the snapshots of a training: the last ones, or the best of its log."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet.train.report import VALID, Entry
from espnet.utils.errors import UserError

# metric -> (key of the log, whether higher is better); the first three, in this order,
# stand for "not named"
METRICS = {
    "acc": (f"{VALID}acc", True),
    "perplexity": ("val_perplexity", False),
    "loss": (f"{VALID}loss", False),
    "bleu": (f"{VALID}bleu", True),
    "cer": (f"{VALID}cer", False),
    "cer_ctc": (f"{VALID}cer_ctc", False),
}
_DEFAULTS = ("acc", "perplexity", "loss")
_NUMBERED = re.compile(r"(.*\.)(\d+)$")
_EPOCH = re.compile(r"snapshot\.ep\.(\d+)$")


@dataclass(frozen=True)
class Choice:
    """Snapshots to average, with the reason in words.

    Attributes:
        paths: the files, the best or the newest last.
        reason: such as "the last 3 of 12".
    """

    paths: tuple[Path, ...]
    reason: str


def choose_last(
    snapshots: Iterable[str | Path], num: int, max_epoch: int | None = None
) -> Choice:
    """The newest files: by the number that ends their names, else by their time.

    Args:
        snapshots: the files to choose from.
        num: how many are wanted; fewer files than that are all chosen.
        max_epoch: leave out ``snapshot.ep.N`` of later epochs.

    Raises:
        UserError: there is none, or a file is missing.
    """
    found = [Path(path) for path in dict.fromkeys(snapshots)]
    for path in found:
        if not path.is_file():
            raise UserError(f"{path}: no such file; training writes snapshot.ep.N")
    if max_epoch is not None:
        found = [path for path in found if (_epoch(path) or 0) <= max_epoch]
    if not found:
        raise UserError(f"snapshots: none is of an epoch up to {max_epoch}")
    numbers = [_NUMBERED.match(path.name) for path in found]
    if len({match and match[1] for match in numbers}) == 1 and numbers[0]:
        found.sort(key=lambda path: int(path.name.rpartition(".")[2]))
    else:
        found.sort(key=lambda path: path.stat().st_mtime)
    chosen = found[-num:]
    return Choice(tuple(chosen), f"the last {_share(chosen, num, found)}")


def choose_best(
    folder: str | Path,
    log: str | Path,
    num: int,
    metric: str = "",
    max_epoch: int | None = None,
) -> Choice:
    """The ``snapshot.ep.N`` of the best epochs in validation; of equals the later ones.

    Args:
        folder: where the snapshots are; epochs without one are passed over.
        log: the training's ``results/log``.
        num: how many are wanted; where there are fewer, all are chosen.
        metric: a key of METRICS; empty: acc, else perplexity, else loss.
        max_epoch: leave out later epochs.

    Raises:
        UserError: the log is missing, damaged or lacks the metric, or no epoch of it
            has a snapshot.
    """
    name, values = _validation(log, metric)
    there = {
        epoch: path
        for path in Path(folder).glob("snapshot.ep.*")
        if (epoch := _epoch(path)) is not None
        and (max_epoch is None or epoch <= max_epoch)
    }
    known = [epoch for epoch in values if epoch in there]
    if not known:
        raise UserError(
            f"{folder}: has no snapshot.ep.N of the {len(values)} epochs in {log}"
            + (f" up to {max_epoch}" if max_epoch is not None else "")
        )
    is_higher_better = METRICS[name][1]
    known.sort(key=lambda n: (values[n] if is_higher_better else -values[n], n))
    best = known[-num:]
    shown = ", ".join(f"{epoch} ({values[epoch]:.4g})" for epoch in reversed(best))
    reason = f"the best {_share(best, num, known)} by validation {name}: epochs {shown}"
    return Choice(tuple(there[epoch] for epoch in best), reason)


def _epoch(path: Path) -> int | None:
    match = _EPOCH.match(path.name)
    return int(match[1]) if match else None


def _share(chosen: Sequence[object], num: int, found: Sequence[object]) -> str:
    if len(chosen) < num:
        return f"{len(chosen)} ({num} were wanted)"
    return f"{num} of {len(found)}"


def _validation(log: str | Path, metric: str) -> tuple[str, dict[int, float]]:
    """The metric's name, and its value in each epoch.

    An epoch's value is in its first row: later ones are of the epoch that runs.
    """
    entries = _read_log(log)
    for name in [metric] if metric else _DEFAULTS:
        key = METRICS[name][0]
        values: dict[int, float] = {}
        for entry in entries:
            if math.isfinite(entry.get(key, math.nan)):
                values.setdefault(int(entry["epoch"]), float(entry[key]))
        if values:
            return name, values
    known = [name for name in METRICS if any(METRICS[name][0] in e for e in entries)]
    raise UserError(
        f"metric: {log} has no validation {metric or ', '.join(_DEFAULTS)}; it has "
        f"{', '.join(known) or 'no validation at all'}"
    )


def _read_log(path: str | Path) -> list[Entry]:
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("epoch"), (int, float))
        for entry in entries
    ):
        raise UserError(f"{path}: is no log of a training: wanted are rows with epoch")
    return entries
