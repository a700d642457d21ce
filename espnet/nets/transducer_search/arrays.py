"""Hypotheses of many utterances in arrays, for :mod:`.maes`.

Hypotheses of all utterances stand one behind the other; ``N`` counts them, ``K`` frames
that are scored at a time. Prefixes are known by numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from espnet.nets.transducer_search.driver import BLANK, START, Driver, Prefix

Array = np.ndarray


_NONE = np.empty(0, np.int64)


def float_array(xs: torch.Tensor) -> Array:
    """Values as float64, on the CPU."""
    return xs.cpu().numpy().astype(np.float64)


class Hyps(NamedTuple):
    """Hypotheses.

    Attributes:
        rows: their utterances (N,).
        nodes: numbers of their prefixes (N,), as the driver gives them.
        scores: of the paths to them (N,).
    """

    rows: Array
    nodes: Array
    scores: Array

    def take(self, which: Array) -> Hyps:
        """Some of them, by number or by truth."""
        return Hyps(self.rows[which], self.nodes[which], self.scores[which])

    @classmethod
    def joined(cls, parts: Sequence[Hyps]) -> Hyps:
        """All of them, one behind the other."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def ranked(self) -> tuple[Hyps, Array]:
        """Those of an utterance together, best first; and their places there (N,)."""
        order = np.lexsort((-self.scores, self.rows))
        hyps, places = self.take(order), np.arange(len(order))
        begins = np.zeros(len(order), np.int64)
        begins[1:] = np.where(hyps.rows[1:] != hyps.rows[:-1], places[1:], 0)
        return hyps, places - np.maximum.accumulate(begins)


class Scores(NamedTuple):
    """What hypotheses may go on with; (N, ...) stands for them and frames.

    Attributes:
        blank: log-probability (N, ...).
        labels: the best ones (N, ..., C).
        values: theirs.
        may_wait: blank is a candidate (N, ...).
        may_grow: that label is (N, ..., C).
    """

    blank: Array
    labels: Array
    values: Array
    may_wait: Array
    may_grow: Array

    def at(self, which: Array, frames: Array) -> Scores:
        """Those of some hypotheses, each in one frame."""
        return Scores(*(part[which, frames] for part in self))

    @classmethod
    def of(cls, log_probs: torch.Tensor, count: int, gamma: float) -> Scores:
        """The candidates among symbols.

        Args:
            log_probs: of all symbols (N, ..., V).
            count: candidates there are at most, blank included.
            gamma: how much worse than the best one they may be, before the language
                model is asked.
        """
        most = min(count, log_probs.shape[-1] - 1)
        top, labels = log_probs[..., 1:].topk(most, -1)
        blank, values = float_array(log_probs[..., BLANK]), float_array(top)
        least = np.maximum(blank, values[..., 0]) - gamma
        better = (values > blank[..., None]).sum(-1)
        may_wait = (blank >= least) & (better < count)
        room = count - may_wait
        may_grow = (values >= least[..., None]) & (np.arange(most) < room[..., None])
        return cls(blank, labels.cpu().numpy() + 1, values, may_wait, may_grow)


class Tree:
    """The prefixes that were read: numbers of their parents, and last labels."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.parents = np.empty(0, np.int64)
        self.labels = np.empty(0, np.int64)
        self.numbers: dict[tuple[int, int], int] = {}  # by parent and label

    def root(self, row: int) -> int:
        """The number of blank alone."""
        self.driver.read({row: [START]})
        number = self.driver.known[row][START].number
        self._keep(number, -1, BLANK)
        return number

    def known(self, parents: Array, labels: Array) -> Array:
        """Numbers of their children (N,); -1 for those that were not read."""
        pairs = zip(parents.tolist(), labels.tolist(), strict=True)
        numbers = [self.numbers.get(pair, -1) for pair in pairs]
        return np.array(numbers, np.int64)

    def children(self, rows: Array, parents: Array, labels: Array) -> Array:
        """Numbers of their children (N,), which are read where that was not done."""
        found = self.known(parents, labels)
        new = np.flatnonzero(found < 0).tolist()
        if not new:
            return found
        wanted: dict[int, list[Prefix]] = {}
        prefixes = {}
        for place in new:
            parent, label = int(parents[place]), int(labels[place])
            prefixes[place] = (*self.driver.prefixes[parent], label)
            wanted.setdefault(int(rows[place]), []).append(prefixes[place])
        self.driver.read(wanted)
        for place, prefix in prefixes.items():
            number = self.driver.known[int(rows[place])][prefix].number
            self._keep(number, int(parents[place]), int(labels[place]))
            found[place] = number
        return found

    def _keep(self, number: int, parent: int, label: int) -> None:
        if number >= len(self.parents):
            more = np.full(number + 1, -1, np.int64)
            self.parents = np.concatenate([self.parents, more])
            self.labels = np.concatenate([self.labels, more])
        self.parents[number] = parent
        self.labels[number] = label
        self.numbers[parent, label] = number


class Family(NamedTuple):
    """Pairs of hypotheses of which one is the beginning of the other, and the labels
    that lead from it to the other.

    Attributes:
        longer, shorter: which hypotheses (P,).
        near: one label leads there (P,).
        pairs: of each label, the pair (A,).
        entries: the prefix before it, a hypothesis or, counted on, one of ``between``.
        labels: the label itself (A,).
        between: rows and nodes of prefixes between the two (E,).
    """

    longer: Array
    shorter: Array
    near: Array
    pairs: Array
    entries: Array
    labels: Array
    between: tuple[Array, Array]

    @classmethod
    def of(cls, hyps: Hyps, tree: Tree, alpha: int) -> Family:
        """The pairs of which one is at most ``alpha`` labels longer."""
        rows, nodes, _ = hyps
        keys = rows * len(tree.parents) + nodes
        order = np.argsort(keys)
        ordered = keys[order]
        path = [nodes]
        longer, shorter, near = [_NONE], [_NONE], [_NONE]
        pairs, entries, labels = [_NONE], [_NONE], [_NONE]
        between = ([_NONE], [_NONE])
        found = others = 0
        for distance in range(1, alpha + 1):
            above = np.where(path[-1] >= 0, tree.parents[path[-1]], -1)
            path.append(above)
            wanted = rows * len(tree.parents) + above
            at = np.minimum(np.searchsorted(ordered, wanted), len(order) - 1)
            here = np.flatnonzero((ordered[at] == wanted) & (above >= 0))
            longer.append(here)
            shorter.append(order[at[here]])
            near.append(np.full(len(here), distance))
            for step in range(distance):
                pairs.append(found + np.arange(len(here)))
                labels.append(tree.labels[path[step][here]])
                if step == distance - 1:
                    entries.append(shorter[-1])
                    continue
                entries.append(len(nodes) + others + np.arange(len(here)))
                between[0].append(rows[here])
                between[1].append(path[step + 1][here])
                others += len(here)
            found += len(here)
        return cls(
            np.concatenate(longer),
            np.concatenate(shorter),
            np.concatenate(near) == 1,
            np.concatenate(pairs),
            np.concatenate(entries),
            np.concatenate(labels),
            (np.concatenate(between[0]), np.concatenate(between[1])),
        )
