"""What a training run says: the table, ``results/log`` and means of reported values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from espnet.train.progress import ProgressBlock
from espnet.utils.files import atomic_write

TRAIN = "main/"
VALID = "validation/main/"
Entry = dict[str, float]  # a row of the log; counts are int


class Means:
    """Running means of named values; one that is not finite is left out."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}  # name -> [sum, count]

    def add(self, values: Mapping[str, float]) -> None:
        """Take the values of one minibatch."""
        for name, value in values.items():
            if math.isfinite(value):
                total = self._sums.setdefault(name, [0.0, 0])
                total[0] += value
                total[1] += 1

    def result(self, prefix: str = "") -> Entry:
        """The mean of each name, with a prefix."""
        return {
            prefix + name: total / count for name, (total, count) in self._sums.items()
        }

    def state(self) -> dict[str, list[float]]:
        """What :meth:`restore` takes."""
        return {name: list(total) for name, total in self._sums.items()}

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Continue from a state."""
        self._sums = {name: list(total) for name, total in state.items()}


class Table:
    """Prints rows below a header of column names.

    A column is there once its value has come up, or if it is expected; when a row
    brings a new one, the header is printed anew.

    Args:
        columns: every name that may be shown, in order.
        stream: where to write.
        expected: columns that are there from the beginning.
    """

    def __init__(
        self, columns: Sequence[str], stream: TextIO, expected: Iterable[str] = ()
    ) -> None:
        self.columns = list(columns)
        self.stream = stream
        self.expected = set(expected)
        self._shown: list[str] = []

    def show(self, entry: Entry, expected: Iterable[str] = ()) -> None:
        """Print a row.

        Args:
            entry: its values by column.
            expected: columns that rows to come will fill.
        """
        wanted = {*entry, *expected, *self.expected, *self._shown}
        shown = [name for name in self.columns if name in wanted]
        if shown != self._shown:
            self._shown = shown
            self._line([(name, name) for name in shown])
        self._line([(name, _number(entry.get(name))) for name in shown])
        self.stream.flush()

    def _line(self, cells: list[tuple[str, str]]) -> None:
        padded = (text.ljust(max(10, len(name))) for name, text in cells)
        self.stream.write("  ".join(padded).rstrip() + "\n")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    whole = isinstance(value, int) or abs(value) >= 1e6
    return f"{value:.0f}" if whole else f"{value:g}"


class Report:
    """The log of a run: a row per report, printed and kept in ``<outdir>/log``.

    Args:
        outdir: where ``log`` is written; None: nowhere.
        table: prints the rows.
        progress: drawn below each row.
        listener: gets each row too.
        derive: values of a row -> further ones that are computed from them.
    """

    def __init__(
        self,
        outdir: str | Path | None,
        table: Table,
        progress: ProgressBlock,
        listener: Callable[[Entry], None] | None = None,
        derive: Callable[[Entry], Entry] | None = None,
    ) -> None:
        self.path = Path(outdir) / "log" if outdir is not None else None
        self.table = table
        self.progress = progress
        self.listener = listener
        self.derive = derive or (lambda entry: {})
        self.entries: list[Entry] = []
        self.means = Means()  # since the last row
        self.epoch_means = Means()  # since the epoch began
        self.history: list[Entry] = []  # one entry per epoch

    def observe(self, values: Mapping[str, float]) -> None:
        """Take what the model reported of a minibatch."""
        self.means.add(values)
        self.epoch_means.add(values)

    def row(self, counters: Entry, more: Entry, position: float) -> Entry:
        """Close a row: print it, write the log, draw the progress.

        Args:
            counters: epoch, iteration and elapsed_time.
            more: further values, such as those of validation.
            position: epochs done, the running one by its share.
        """
        means = self.means.result(TRAIN)
        entry = {**means, **more, **counters}
        entry.update(self.derive(entry))
        self.means = Means()
        self.entries.append(entry)
        self.progress.clear()
        twins = [VALID + name.removeprefix(TRAIN) for name in means]
        self.table.show(entry, expected=twins)
        self._write()
        self.progress.show(int(counters["iteration"]), position)
        if self.listener is not None:
            self.listener(entry)
        return entry

    def close_epoch(self, epoch: int, validation: Entry) -> None:
        """Keep the epoch's means for the curves."""
        entry = {**self.epoch_means.result(TRAIN), **validation, "epoch": epoch}
        self.history.append({**entry, **self.derive(entry)})
        self.epoch_means = Means()

    def say(self, message: str) -> None:
        """Print a line that is no row."""
        self.progress.clear()
        self.table.stream.write(message + "\n")
        self.table.stream.flush()

    def state(self) -> dict[str, str]:
        """What :meth:`restore` takes: JSON texts, exact to the last bit."""
        parts = {
            "entries": self.entries,
            "means": self.means.state(),
            "epoch_means": self.epoch_means.state(),
            "history": self.history,
        }
        return {name: json.dumps(part) for name, part in parts.items()}

    def restore(self, state: Mapping[str, str]) -> None:
        """Continue from a state; the rows of validation are printed again."""
        parts: dict[str, Any] = {name: json.loads(text) for name, text in state.items()}
        self.entries = parts["entries"]
        self.means.restore(parts["means"])
        self.epoch_means.restore(parts["epoch_means"])
        self.history = parts["history"]
        for entry in self.entries:
            if any(name.startswith(VALID) for name in entry):
                self.table.show(entry)
        self._write()

    def _write(self) -> None:
        if self.path is None:
            return
        with atomic_write(self.path) as stream:
            json.dump(self.entries, stream, indent=4, sort_keys=True)
