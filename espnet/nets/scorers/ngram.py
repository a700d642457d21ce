"""N-gram models over the recogniser's tokens as a score of the search.

Scores are logarithms to base 10, as ARPA files and KenLM have them and as ESPnet1 took
them, so that ``--ngram-weight`` means the same.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from espnet.nets.scorer_interface import BatchScorer, PartialScorer
from espnet.nets.scorers.arpa import END, UNKNOWN, read_arpa
from espnet.utils.errors import UserError

Contexts = list[Hashable] | None  # of N hypotheses; None before the first token

CACHED_NUMBERS = 1 << 24  # scores that are kept, 64 MiB of them
KENLM_BINARY = b"mmap lm http"


class NgramModel(Protocol):
    """What is known of the token behind a context."""

    def start(self) -> Hashable:
        """The context at the beginning."""

    def advance(self, context: Any, token: int) -> Hashable:
        """The context behind one more token."""

    def scores(self, context: Any) -> np.ndarray:
        """Log10 probabilities (V,) of the tokens."""


class ArpaNgram:
    """An ARPA file, read by the toolkit itself.

    Args:
        path: the file.
        words: the text of each token (V).

    Raises:
        UserError: the file cannot be read, or knows none of the tokens.
        DataError: it is not a good ARPA file.
    """

    def __init__(self, path: str | Path, words: Sequence[str]) -> None:
        self.model = read_arpa(path)
        check_words(path, words, self.model.words)
        unknown = self.model.words[UNKNOWN]
        self.numbers = [self.model.words.get(word, unknown) for word in words]

    def start(self) -> Hashable:
        """See :class:`NgramModel`."""
        return self.model.start()

    def advance(self, context: Any, token: int) -> Hashable:
        """See :class:`NgramModel`."""
        return self.model.advance(context, self.numbers[token])

    def scores(self, context: Any) -> np.ndarray:
        """See :class:`NgramModel`."""
        return self.model.scores(context)[self.numbers]


class KenlmNgram:
    """A file that the package kenlm reads, ARPA or its own binary form.

    Args:
        kenlm: the module.
        path: the file.
        words: the text of each token (V).

    Raises:
        OSError, RuntimeError: kenlm refuses the file.
        UserError: it knows none of the tokens.
    """

    def __init__(self, kenlm: Any, path: str | Path, words: Sequence[str]) -> None:
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        self.model = kenlm.Model(str(path), config)
        check_words(path, words, self.model)
        self.new_state = kenlm.State
        self.words = list(words)

    def start(self) -> Hashable:
        """See :class:`NgramModel`."""
        state: Hashable = self.new_state()
        self.model.BeginSentenceWrite(state)
        return state

    def advance(self, context: Any, token: int) -> Hashable:
        """See :class:`NgramModel`."""
        after: Hashable = self.new_state()
        self.model.BaseScore(context, self.words[token], after)
        return after

    def scores(self, context: Any) -> np.ndarray:
        """See :class:`NgramModel`."""
        unused = self.new_state()
        return np.array(
            [self.model.BaseScore(context, word, unused) for word in self.words]
        )


def load_ngram(path: str | Path, char_list: Sequence[str]) -> NgramModel:
    """An n-gram model of tokens, read by kenlm where that is installed.

    Args:
        path: an ARPA file, or one of kenlm's binary files.
        char_list: the tokens; the last one is the end symbol, ``</s>`` in the file.

    Raises:
        UserError: the file cannot be read, or knows none of the tokens.
        DataError: it is not a good ARPA file.
    """
    words = [*char_list[:-1], END]
    needs_kenlm = is_binary(path)
    try:
        import kenlm  # type: ignore[import-not-found]
    except ImportError:
        if needs_kenlm:
            raise UserError(
                f"--ngram-model: {path}: is a binary file of KenLM; install the "
                "package kenlm, or give the ARPA file that it was made of"
            ) from None
        return ArpaNgram(path, words)
    try:
        return KenlmNgram(kenlm, path, words)
    except (OSError, RuntimeError) as error:
        if needs_kenlm:
            raise UserError(f"{path}: kenlm cannot read it: {error}") from None
        return ArpaNgram(path, words)  # takes blanks for tabs, or says what is wrong


def check_words(path: str | Path, words: Sequence[str], known: Container[str]) -> None:
    """Refuse a model that was not made of the recogniser's tokens.

    Args:
        path: its file.
        words: the text of each token (V): blank, others, end symbol.
        known: the words of the model.

    Raises:
        UserError: it has none of them; all would be equally unlikely.
    """
    tokens = [word for word in words[1:-1] if word != UNKNOWN]
    if tokens and not any(token in known for token in tokens):
        raise UserError(
            f"--ngram-model: {path}: is a model of another vocabulary: it has none of "
            f"the recogniser's tokens ({', '.join(tokens[:5])}, ...); make it of text "
            "in these tokens, as lm_train.py reads it"
        )


def is_binary(path: str | Path) -> bool:
    """Whether a file is in KenLM's own form.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return stream.read(len(KENLM_BINARY)) == KENLM_BINARY
    except OSError as error:
        raise UserError(
            f"--ngram-model: {path}: cannot be read: {error.strerror}"
        ) from None


class _Table:
    """Scores of contexts, kept as tensors.

    Args:
        model: gives them.
        vocabulary: number of tokens V.
    """

    def __init__(self, model: NgramModel, vocabulary: int) -> None:
        self.model = model
        self._capacity = max(1, CACHED_NUMBERS // vocabulary)
        self._rows: dict[Hashable, Tensor] = {}

    def read(self, tokens: Tensor, contexts: Contexts) -> list[Hashable]:
        """The contexts of N hypotheses after their newest tokens (N,)."""
        if contexts is None:  # the start symbol
            return [self.model.start()] * len(tokens)
        both = zip(contexts, tokens.tolist(), strict=True)
        return [self.model.advance(context, token) for context, token in both]

    def look_up(self, contexts: Sequence[Hashable], device: torch.device) -> Tensor:
        """Scores (N, V)."""
        if len(self._rows) + len(contexts) > self._capacity:
            self._rows.clear()
        for context in contexts:
            if context not in self._rows:
                scores = torch.from_numpy(self.model.scores(context))
                self._rows[context] = scores.to(device, torch.float32)
        return torch.stack([self._rows[context] for context in contexts])


class NgramFullScorer(BatchScorer):
    """Scores every token, so that it has a say in which candidates are looked at.

    Args:
        model: the n-gram model.
        vocabulary: number of tokens V.
    """

    def __init__(self, model: NgramModel, vocabulary: int) -> None:
        self.table = _Table(model, vocabulary)

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> Contexts:
        """See :class:`BatchScorer`."""
        return None

    def score(self, tokens: Tensor, state: Contexts) -> tuple[Tensor, Contexts]:
        """See :class:`BatchScorer`."""
        contexts = self.table.read(tokens, state)
        return self.table.look_up(contexts, tokens.device), contexts

    def select(self, state: Contexts, rows: Tensor, tokens: Tensor) -> Contexts:
        """See :class:`BatchScorer`."""
        assert state is not None
        return [state[row] for row in rows.tolist()]


class NgramPartScorer(PartialScorer):
    """Scores the candidates that the other scorers chose.

    Args:
        model: the n-gram model.
        vocabulary: number of tokens V.
    """

    def __init__(self, model: NgramModel, vocabulary: int) -> None:
        self.table = _Table(model, vocabulary)

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> Contexts:
        """See :class:`PartialScorer`."""
        return None

    def score_partial(
        self, tokens: Tensor, state: Contexts, candidates: Tensor | None
    ) -> tuple[Tensor, Contexts]:
        """See :class:`PartialScorer`."""
        contexts = self.table.read(tokens, state)
        scores = self.table.look_up(contexts, tokens.device)
        if candidates is not None:
            scores = scores.gather(1, candidates)
        return scores, contexts

    def select(self, state: Contexts, rows: Tensor, tokens: Tensor) -> Contexts:
        """See :class:`PartialScorer`."""
        assert state is not None
        return [state[row] for row in rows.tolist()]


NGRAM_SCORERS: dict[str, type[NgramFullScorer] | type[NgramPartScorer]] = {
    "full": NgramFullScorer,
    "part": NgramPartScorer,
}
