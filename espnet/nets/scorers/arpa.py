"""N-gram models in ARPA files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from espnet.utils.errors import DataError
from espnet.utils.lines import read_lines

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NO_UNKNOWN = -100.0  # log10 of an unknown word where the file does not tell
MAX_PROBLEMS = 10

Ngram = tuple[int, ...]


@dataclass
class _Followers:
    """The words that a context is known with, and their log10 probabilities."""

    words: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


class BackoffModel:
    """Log10 probabilities of words behind a context.

    Attributes:
        order: words of the longest n-gram.
        words: word -> number; always with ``<unk>``.
    """

    def __init__(self) -> None:
        self.order = 0
        self.words: dict[str, int] = {}
        self._backoff: dict[Ngram, float] = {}
        self._lacking: dict[Ngram, int] = {}  # n-grams without back-off -> line
        self._followers: dict[Ngram, _Followers] = {}
        self._unigrams = np.empty(0)

    def start(self) -> Ngram:
        """The context at the beginning of a sentence."""
        return (self.words[START],) if START in self.words else ()

    def advance(self, context: Ngram, word: int) -> Ngram:
        """The context behind one more word: the longest that is known."""
        longer = (*context, word)[max(0, len(context) + 2 - self.order) :]
        while longer and longer not in self._backoff:
            longer = longer[1:]
        return longer

    def scores(self, context: Ngram) -> np.ndarray:
        """Log10 probabilities of every word by its number."""
        found = self._unigrams.copy()
        for length in range(1, len(context) + 1):
            known = context[-length:]
            found += self._backoff.get(known, 0.0)
            followers = self._followers.get(known)
            if followers is not None:
                found[followers.words] = followers.scores
        return found

    def add(self, ngram: Ngram, score: float, backoff: float | None, line: int) -> str:
        """Add an n-gram, all shorter ones being there; returns what is wrong with it.

        The number of a word is that of its unigram in the file.
        """
        *context, word = ngram
        followers = self._followers.setdefault(tuple(context), _Followers())
        if len(ngram) > 1 and tuple(context) in self._lacking:
            return (
                f"continues the n-gram of line {self._lacking[tuple(context)]}, which "
                "has no back-off weight"
            )
        if len(ngram) > 1 and tuple(context) not in self._backoff:
            return "its first words are not there as a shorter n-gram"
        if ngram in self._backoff or ngram in self._lacking:
            return "is there already"
        followers.words.append(word)
        followers.scores.append(score)
        if backoff is not None:
            self._backoff[ngram] = backoff
        elif len(ngram) < self.order:
            self._lacking[ngram] = line
        return ""

    def finish(self) -> None:
        """All n-grams are there."""
        unigrams = self._followers.pop(())
        if UNKNOWN not in self.words:
            unigrams.words.append(self.words.setdefault(UNKNOWN, len(self.words)))
            unigrams.scores.append(NO_UNKNOWN)
        self._unigrams = np.empty(len(self.words))
        self._unigrams[unigrams.words] = unigrams.scores
        # nothing continues them, so that their back-off is that of no context
        self._backoff.update(dict.fromkeys(self._lacking, 0.0))
        self._lacking.clear()


def read_arpa(path: str | Path) -> BackoffModel:
    """Read an ARPA file.

    Raises:
        UserError: the file cannot be read.
        DataError: it is not as it must be; a line for each problem, with file:line.
    """
    reader = _Reader(str(path))
    for number, line in read_lines(path):
        if line.strip() and not reader.read(number, line.strip()):
            break
    reader.check_end()
    reader.model.finish()
    return reader.model


class _Reader:
    """Takes the lines of a file one after the other."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.model = BackoffModel()
        self.counts: list[int] = []  # n-grams of each order, as the header has it
        self.order = -1  # of the section; 0 in the header, -1 before it
        self.found = 0  # n-grams in the section
        self.number = 0
        self.problems: list[str] = []

    def read(self, number: int, line: str) -> bool:
        """Take a line; False after the last one."""
        self.number = number
        if line.startswith("\\"):
            return self._section(line)
        if self.order == 0:
            self._count(line)
        elif self.order > 0:
            self._ngram(line)
        return True

    def check_end(self) -> None:
        """The file has ended.

        Raises:
            DataError: what was wrong with it.
        """
        if self.order == -1:
            self._stop("is not an ARPA file: it has no line \\data\\")
        if self.order != len(self.counts) + 1:
            self._stop("the file ends without \\end\\; is it cut short?")
        if not self.model.words:
            self._note("has no words: there are no 1-grams")
        if self.problems:
            raise DataError(self.problems)

    def _section(self, line: str) -> bool:
        if line == "\\data\\" and self.order == -1:
            self.order = 0
            return True
        if self.order == -1:
            return True
        highest = len(self.counts)
        if 0 < self.order <= highest and self.found != self.counts[self.order - 1]:
            self._note(
                f"the section before has {self.found} {self.order}-grams, but "
                f"\\data\\ promises {self.counts[self.order - 1]}"
            )
        self.order += 1
        self.found = 0
        wanted = f"\\{self.order}-grams:" if self.order <= highest else "\\end\\"
        if line != wanted:
            self._stop(
                f"unknown order: the section '{line}' comes where '{wanted}' must be "
                f"(\\data\\ promises orders up to {highest})"
            )
        self.model.order = highest
        return line != "\\end\\"

    def _count(self, line: str) -> None:
        match = re.fullmatch(r"ngram +(\d+) *= *(\d+)", line)
        if match is None or int(match[1]) != len(self.counts) + 1:
            order = len(self.counts) + 1
            self._stop(f"unknown order: '{line}' must be 'ngram {order}=<count>'")
        else:
            self.counts.append(int(match[2]))

    def _ngram(self, line: str) -> None:
        self.found += 1
        score, *words = line.split()
        backoff = words.pop() if len(words) == self.order + 1 else None
        numbers = [_number(text) for text in (score, backoff) if text is not None]
        if len(words) != self.order or None in numbers:
            most = " [<log10 back-off>]" * (self.order < len(self.counts))
            names = "word" if self.order == 1 else f"{self.order} words"
            self._note(f"'{line}' must be '<log10 probability> <{names}>{most}'")
            return
        log_probability, log_backoff = (*numbers, None)[:2]
        assert log_probability is not None
        if log_probability > 0.0:
            self._note(f"'{score}' is no logarithm of a probability, being above 0")
            return
        known = self.model.words
        if self.order == 1:
            known.setdefault(words[0], len(known))
        strange = [word for word in words if word not in known]
        if strange:
            self._note(f"'{strange[0]}' is not among the 1-grams")
            return
        ngram = tuple(known[word] for word in words)
        problem = self.model.add(ngram, log_probability, log_backoff, self.number)
        if problem:
            self._note(f"'{' '.join(words)}' {problem}")

    def _note(self, problem: str) -> None:
        self.problems.append(f"{self.path}:{self.number}: {problem}")
        if len(self.problems) == MAX_PROBLEMS:
            raise DataError(
                [*self.problems, f"{self.path}: ... perhaps there are more"]
            )

    def _stop(self, problem: str) -> NoReturn:
        raise DataError([*self.problems, f"{self.path}:{self.number}: {problem}"])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number else None
