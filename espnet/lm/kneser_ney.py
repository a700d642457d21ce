"""N-gram models from text: interpolated modified Kneser-Ney smoothing.

Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling,
1998 (TR-10-98), section 4. The unigram is interpolated with the uniform distribution
over the vocabulary and ``<unk>``.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from espnet.utils.errors import DataError, UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_lines, shorten

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
IMPOSSIBLE = -99.0  # log10 of <s>, which never follows anything
FALLBACK = (0.5, 1.0, 1.5)  # discounts where the text is too small to tell them

Ngram = tuple[str, ...]


@dataclass(frozen=True)
class Discounts:
    """What is taken from counts of 1, of 2, and of 3 and more."""

    one: float
    two: float
    more: float

    def of(self, count: int) -> float:
        """The discount of a count."""
        return (0.0, self.one, self.two)[count] if count < 3 else self.more


@dataclass(frozen=True)
class KneserNey:
    """A model.

    Attributes:
        probabilities: of the n-grams of each order, from 1.
        backoffs: weights of the n-grams that something follows.
    """

    probabilities: list[dict[Ngram, float]]
    backoffs: dict[Ngram, float]

    @property
    def order(self) -> int:
        """Words of the longest n-grams."""
        return len(self.probabilities)

    def write_arpa(self, path: str | Path) -> None:
        """Write an ARPA file, n-grams in code-point order."""
        with atomic_write(path) as stream:
            stream.write("\\data\\\n")
            for order, table in enumerate(self.probabilities, 1):
                stream.write(f"ngram {order}={len(table)}\n")
            for order, table in enumerate(self.probabilities, 1):
                stream.write(f"\n\\{order}-grams:\n")
                for ngram, probability in sorted(table.items()):
                    score = math.log10(probability) if probability else IMPOSSIBLE
                    line = f"{score:.7g}\t{' '.join(ngram)}"
                    if order < self.order:
                        line += f"\t{math.log10(self.backoffs.get(ngram, 1.0)):.7g}"
                    stream.write(line + "\n")
            stream.write("\n\\end\\\n")


def read_sentences(path: str | Path) -> list[list[str]]:
    """The words of each line; empty lines are left out.

    Raises:
        DataError: lines with words that mark borders in ARPA files.
        UserError: the file cannot be read, or holds no word.
    """
    sentences, problems = [], []
    for number, line in read_lines(path):
        words = line.split()
        reserved = {START, END}.intersection(words)
        if reserved:
            problems.append(
                f"{path}:{number}: '{min(reserved)}' marks the border of a sentence "
                "in ARPA files; take it out"
            )
        if words:
            sentences.append(words)
    if problems:
        raise DataError(shorten(problems, 10))
    if not sentences:
        raise UserError(f"{path}: holds no word; it must have a sentence in each line")
    return sentences


def train_kneser_ney(sentences: Iterable[Sequence[str]], order: int) -> KneserNey:
    """Estimate a model; every n-gram of the text is in it.

    Args:
        sentences: their words.
        order: words of the longest n-grams, 1 or more.
    """
    counts = _adjusted(_counts(sentences, order))
    uniform = 1.0 / len(counts[0].keys() | {(UNKNOWN,)})
    lower: dict[Ngram, float] = {(): uniform}
    probabilities: list[dict[Ngram, float]] = []
    backoffs: dict[Ngram, float] = {}
    for n, table in enumerate(counts, 1):
        discounts = _discounts(table, n)
        totals: dict[Ngram, int] = defaultdict(int)
        taken: dict[Ngram, float] = defaultdict(float)
        for ngram, count in table.items():
            totals[ngram[:-1]] += count
            taken[ngram[:-1]] += discounts.of(count)
        shares = {context: taken[context] / total for context, total in totals.items()}
        found = {
            ngram: (count - discounts.of(count)) / totals[ngram[:-1]]
            + shares[ngram[:-1]] * lower[ngram[1:]]
            for ngram, count in table.items()
        }
        if n == 1:
            found.setdefault((UNKNOWN,), shares[()] * uniform)
            found[(START,)] = 0.0
        else:
            backoffs.update(shares)
        probabilities.append(found)
        lower = found
    return KneserNey(probabilities, backoffs)


def _counts(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Ngram]]:
    """How often each n-gram occurs, of each order; ``<s>`` alone is left out."""
    counts: list[Counter[Ngram]] = [Counter() for _ in range(order)]
    for words in sentences:
        padded = [START, *words, END]
        for end in range(1, len(padded)):
            for n in range(1, min(order, end + 1) + 1):
                counts[n - 1][tuple(padded[end + 1 - n : end + 1])] += 1
    return counts


def _adjusted(counts: list[Counter[Ngram]]) -> list[Counter[Ngram]]:
    """Below the highest order: the number of words that an n-gram follows.

    N-grams at the beginning of a sentence follow nothing and keep their counts.
    """
    adjusted = []
    for table, longer in pairwise(counts):
        followed = Counter(ngram[1:] for ngram in longer)
        adjusted.append(
            Counter(
                {
                    ngram: count if ngram[0] == START else followed[ngram]
                    for ngram, count in table.items()
                }
            )
        )
    return [*adjusted, counts[-1]]


def _discounts(table: Counter[Ngram], order: int) -> Discounts:
    """Equation 26 of Chen and Goodman, or fixed ones where it does not hold."""
    ones, twos, threes, fours = (
        sum(1 for count in table.values() if count == k) for k in (1, 2, 3, 4)
    )
    if ones and twos and threes:
        y = ones / (ones + 2 * twos)
        found = (
            1 - 2 * y * twos / ones,
            2 - 3 * y * threes / twos,
            3 - 4 * y * fours / threes,
        )
        if all(0 < discount <= k for k, discount in enumerate(found, 1)):
            return Discounts(*found)
    logging.info(
        "order %d: too few counts of 1, 2 and 3 to estimate discounts; %s are taken",
        order,
        ", ".join(map(str, FALLBACK)),
    )
    return Discounts(*FALLBACK)
