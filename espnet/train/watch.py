"""Values watched from epoch to epoch: the best so far, and when to stop."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Best:
    """The best value of a log key.

    Attributes:
        key: name in the log, such as ``validation/main/acc``.
        higher: more is better.
        value: the best so far; None before the first.
        epoch: that it is of.
        in_snapshot: the weights of that epoch are also those of its snapshot (they are
            not if worse ones were replaced before the snapshot was written).
    """

    key: str
    higher: bool
    value: float | None = None
    epoch: int = 0
    in_snapshot: bool = True

    def update(self, entry: Mapping[str, float], epoch: int) -> bool:
        """Look at a new value; True if it is the best."""
        value = entry.get(self.key)
        if value is None or not math.isfinite(value):
            return False
        if self.value is not None and not self._beats(value, self.value):
            return False
        self.value, self.epoch, self.in_snapshot = value, epoch, True
        return True

    def is_worse(self, entry: Mapping[str, float]) -> bool:
        """Whether an entry has a value that is worse than the best."""
        value = entry.get(self.key)
        if value is None or self.value is None:
            return False
        return self._beats(self.value, value)

    def _beats(self, a: float, b: float) -> bool:
        return a > b if self.higher else a < b

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` takes."""
        return asdict(self)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of the same key."""
        if state["key"] == self.key:
            self.value, self.epoch = state["value"], state["epoch"]
            self.in_snapshot = state["in_snapshot"]


class EarlyStopping:
    """Ends training after some epochs without a new best.

    Args:
        key: name in the log; higher is better if it has ``acc``.
        patience: epochs without improvement that are borne; 0 never stops.
    """

    def __init__(self, key: str | None, patience: int) -> None:
        self.best = Best(key or "", higher="acc" in (key or ""))
        self.patience = patience if key else 0
        self._seen = 0  # epochs looked at
        self._warned = False

    @property
    def stop(self) -> bool:
        """Whether patience has come to its end."""
        known = self.best.value is not None
        return 0 < self.patience <= self._seen - self.best.epoch and known

    def update(self, entry: Mapping[str, float], epoch: int) -> None:
        """Look at the values of an epoch."""
        self._seen = epoch
        self.best.update(entry, epoch)
        if self.patience and self.best.key not in entry and not self._warned:
            self._warned = True
            keys = ", ".join(sorted(k for k in entry if k.startswith("validation/")))
            logging.warning(
                "early-stop-criterion: '%s' is not reported, so training runs all "
                "epochs; there are: %s",
                self.best.key,
                keys,
            )

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` takes."""
        return {"best": self.best.state(), "seen": self._seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state; one of another key is left out."""
        if state["best"]["key"] == self.best.key:
            self.best.restore(state["best"])
            self._seen = state["seen"]
