"""Alignment of a hypothesis with its reference, as NIST's sclite does it.

A substitution costs 4, an insertion or a deletion 3; ASCII letters compare without
regard to case. Among alignments of equal cost, the one is taken that, read from the
end, prefers a pair of tokens, then an insertion, then a deletion: this is what sclite
2.10 was seen to do. Tokens are literal: sclite's markup (``{ a / b }``, ``@``, ``;``)
has no meaning here.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

SUBSTITUTION, INSERTION, DELETION = 4, 3, 3
Pair = tuple[str | None, str | None]

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)


def ascii_lower(token: str) -> str:
    """Lower-case ASCII letters only, whatever the language."""
    return token.translate(_LOWER)


def ascii_upper(token: str) -> str:
    """Upper-case ASCII letters only, whatever the language."""
    return token.translate(_UPPER)


@dataclass(frozen=True)
class Counts:
    """What an alignment, or the sum of several, consists of."""

    correct: int = 0
    substituted: int = 0
    deleted: int = 0
    inserted: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of the reference."""
        return self.correct + self.substituted + self.deleted

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substituted + self.deleted + self.inserted

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.correct + other.correct,
            self.substituted + other.substituted,
            self.deleted + other.deleted,
            self.inserted + other.inserted,
        )


def same(ref: str | None, hyp: str | None) -> bool:
    """Whether an aligned pair is correct."""
    return ref is not None and hyp is not None and ascii_lower(ref) == ascii_lower(hyp)


def align(ref: Sequence[str], hyp: Sequence[str]) -> list[Pair]:
    """Pairs ``(reference token, hypothesis token)`` of the cheapest alignment.

    Returns:
        In order; ``(token, None)`` is a deletion, ``(None, token)`` an insertion.
    """
    refs = [ascii_lower(token) for token in ref]
    hyps = [ascii_lower(token) for token in hyp]
    costs = _costs(refs, hyps)
    pairs: list[Pair] = []
    i, j = len(refs), len(hyps)
    while i or j:
        cost = costs[i, j]
        wrong = SUBSTITUTION if i and j and refs[i - 1] != hyps[j - 1] else 0
        if i and j and cost == costs[i - 1, j - 1] + wrong:
            i, j = i - 1, j - 1
            pairs.append((ref[i], hyp[j]))
        elif j and cost == costs[i, j - 1] + INSERTION:
            j -= 1
            pairs.append((None, hyp[j]))
        else:
            i -= 1
            pairs.append((ref[i], None))
    return pairs[::-1]


def _costs(ref: Sequence[str], hyp: Sequence[str]) -> np.ndarray:
    """Cost (R + 1, H + 1) of aligning each beginning of ref with each of hyp."""
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(token, len(numbers)) for token in ref]
    columns = np.array([numbers.setdefault(t, len(numbers)) for t in hyp], np.int64)
    insertions = INSERTION * np.arange(len(hyp) + 1)
    costs = np.empty((len(ref) + 1, len(hyp) + 1), np.int64)
    costs[0] = insertions
    for i, row in enumerate(rows, 1):
        above = costs[i - 1]
        best = above + DELETION
        replaced = above[:-1] + np.where(columns == row, 0, SUBSTITUTION)
        np.minimum(best[1:], replaced, out=best[1:])
        # A run of insertions may end anywhere: min over k <= j of best[k] + 3 (j - k).
        costs[i] = np.minimum.accumulate(best - insertions) + insertions
    return costs


def count(pairs: Iterable[Pair]) -> Counts:
    """Correct, substituted, deleted and inserted tokens of an alignment."""
    correct = substituted = deleted = inserted = 0
    for ref, hyp in pairs:
        if ref is None:
            inserted += 1
        elif hyp is None:
            deleted += 1
        elif same(ref, hyp):
            correct += 1
        else:
            substituted += 1
    return Counts(correct, substituted, deleted, inserted)
