"""A word language model as a score of the search over characters.

Hori, Cho, Watanabe, End-to-end Speech Recognition with Word-based RNN Language Models,
2018 (arXiv:1808.02608), and, for both kinds of language model together, Hori, Watanabe,
Hershey, Multi-level Language Modeling and Decoding for Open Vocabulary End-to-end
Speech Recognition, 2017.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from espnet.nets.lm_interface import Stepwise
from espnet.nets.scorer_interface import BatchScorer
from espnet.nets.scorers.word_tree import OUTSIDE, ROOT, WordTree
from espnet.utils.errors import UserError

BLANK, UNKNOWN, SPACE, EOS = "<blank>", "<unk>", "<space>", "<eos>"
OOV_PENALTY = 1e-4  # times the probability of <unk>: of each letter of no known word
SUBWORD_WEIGHT = 0.8  # of the character model in the multi-level combination
TINY = 1e-10  # the least probability
NEVER = -1e10  # its logarithm where something cannot be


@dataclass(frozen=True)
class WordState:
    """Where N hypotheses stand between words.

    Hypotheses with the same words so far share a context.

    Attributes:
        memory: of the word model for K contexts (K, ...).
        known: what the scorer keeps of the next word's probabilities (K, ...).
        contexts: the context of each hypothesis (N,).
        nodes: the letters since the last space (N,).
        more: what else a scorer remembers.
    """

    memory: tuple[Tensor, ...]
    known: tuple[Tensor, ...]
    contexts: Tensor
    nodes: Tensor
    more: Any = None


class WordScorer(BatchScorer):
    """What both ways to use a word model have in common: reading words.

    Args:
        model: reads words.
        words: word -> id.
        char_list: the recogniser's tokens by id, ``<space>`` among them.
        device: where it runs.

    Raises:
        UserError: the tokens are not characters, or the words lack ``<unk>``.
    """

    def __init__(
        self,
        model: Stepwise,
        words: Mapping[str, int],
        char_list: Sequence[str],
        device: torch.device | str = "cpu",
    ) -> None:
        tokens = {token: number for number, token in enumerate(char_list)}
        if SPACE not in tokens:
            raise UserError(
                "--word-rnnlm: a word language model needs a recogniser of characters, "
                f"with the token {SPACE} between words; use --rnnlm for other tokens"
            )
        for word in (UNKNOWN, EOS):
            if word not in words:
                raise UserError(f"--word-rnnlm: its dictionary lacks '{word}'")
        self.model = model
        self.tree = WordTree(words, tokens, {BLANK, UNKNOWN, EOS}).to(
            torch.device(device)
        )
        self.vocabulary = len(char_list)
        self.space = tokens[SPACE]
        self.eos = self.first_token = self.vocabulary - 1
        self.unknown_word = words[UNKNOWN]
        self.end_word = words[EOS]

    @abstractmethod
    def keep(self, log_probs: Tensor) -> tuple[Tensor, ...]:
        """What is kept of the next word's log-probabilities (K, W)."""

    @abstractmethod
    def first(self, state: WordState, memory: Tensor, beam: int) -> WordState:
        """The state with what else the scorer remembers."""

    @abstractmethod
    def rate(self, tokens: Tensor, before: Any, state: WordState) -> tuple[Tensor, Any]:
        """Scores (N, V) of the next character, and what else is to be remembered.

        Args:
            tokens: the newest characters (N,).
            before: what was remembered.
            state: after reading ``tokens``.
        """

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> WordState:
        """See :class:`BatchScorer`; the model has read the start of the sentence."""
        rows = len(memory) * beam
        zeros = torch.zeros(rows, dtype=torch.long, device=self.tree.keys.device)
        start = zeros.new_full((1,), self.end_word)
        with torch.no_grad():
            log_probs, remembered = self.model.step(start, self.model.start(1), 0)
        state = WordState(remembered, self.keep(log_probs), zeros, zeros)
        return self.first(state, memory, beam)

    @torch.no_grad()
    def score(self, tokens: Tensor, state: WordState) -> tuple[Tensor, WordState]:
        """See :class:`BatchScorer`."""
        after = self._read(tokens, state)
        scores, more = self.rate(tokens, state.more, after)
        return scores, replace(after, more=more)

    def select(self, state: WordState, rows: Tensor, tokens: Tensor) -> WordState:
        """See :class:`BatchScorer`."""
        return replace(state, contexts=state.contexts[rows], nodes=state.nodes[rows])

    @torch.no_grad()
    def final_score(self, state: WordState, rows: Tensor) -> Tensor:
        """The log-probability (M,) that the sentence ends behind the last word."""
        memory = tuple(part[state.contexts[rows]] for part in state.memory)
        words = self._words(state.nodes[rows])
        log_probs, _ = self.model.step(words, memory, 0)
        return log_probs[:, self.end_word]

    def _words(self, nodes: Tensor) -> Tensor:
        """The words (N,) that nodes spell, ``<unk>`` where they are none."""
        places = torch.where(nodes == OUTSIDE, -1, self.tree.word[nodes.clamp(min=0)])
        if not len(self.tree.sorted_ids):
            return torch.full_like(nodes, self.unknown_word)
        words = self.tree.sorted_ids[places.clamp(min=0)]
        return torch.where(places < 0, self.unknown_word, words)

    def _read(self, tokens: Tensor, state: WordState) -> WordState:
        """The state behind one more character each, or the start symbol."""
        at_start = tokens == self.eos  # it ends hypotheses and cannot come later
        at_space = tokens == self.space
        nodes = self.tree.step(state.nodes, tokens)
        nodes = torch.where(at_space | at_start, ROOT, nodes)
        if not bool(at_space.any()):
            return replace(state, nodes=nodes)
        rows = state.contexts[at_space]
        memory = tuple(part[rows] for part in state.memory)
        words = self._words(state.nodes[at_space])
        log_probs, memory = self.model.step(words, memory, 0)
        kept, contexts = state.contexts[~at_space].unique(return_inverse=True)
        both = torch.empty_like(state.contexts)
        both[~at_space] = contexts
        both[at_space] = len(kept) + torch.arange(len(rows), device=rows.device)
        return replace(
            state,
            memory=_join(state.memory, kept, memory),
            known=_join(state.known, kept, self.keep(log_probs)),
            contexts=both,
            nodes=nodes,
        )


def _join(
    old: tuple[Tensor, ...], kept: Tensor, new: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """The kept rows of old tensors, and the new ones below."""
    return tuple(torch.cat([a[kept], b]) for a, b in zip(old, new, strict=True))


class LookAheadWordLM(WordScorer):
    """Scores characters by the probability of all words that begin so.

    A character that no known word has there gets the probability of ``<unk>`` times
    ``oov_penalty``; whatever comes behind it up to the space is free.
    """

    oov_penalty = OOV_PENALTY

    def keep(self, log_probs: Tensor) -> tuple[Tensor, ...]:
        """Sums (K, W' + 1) over the words before each in spelling; of <unk> (K,)."""
        probs = log_probs.double().exp()
        sums = probs[:, self.tree.sorted_ids].cumsum(1)
        zeros = sums.new_zeros(len(sums), 1)
        return torch.cat([zeros, sums], 1), probs[:, self.unknown_word]

    def first(self, state: WordState, memory: Tensor, beam: int) -> WordState:
        """See :class:`WordScorer`."""
        return state

    def rate(self, tokens: Tensor, before: Any, state: WordState) -> tuple[Tensor, Any]:
        """See :class:`WordScorer`."""
        tree, contexts = self.tree, state.contexts
        sums, unknown = state.known
        outside = state.nodes == OUTSIDE
        nodes = state.nodes.masked_fill(outside, ROOT)
        at_root = nodes == ROOT
        mass = sums[contexts, tree.high[nodes]] - sums[contexts, tree.low[nodes]]
        mass = mass.masked_fill(at_root, 1.0)
        lost = mass < TINY
        mass = mass.masked_fill(lost, 1.0)
        probs = (unknown[contexts] * self.oov_penalty)[:, None]
        probs = probs.repeat(1, self.vocabulary)
        rows, letters, children = tree.children(nodes)
        above = sums[contexts[rows], tree.high[children]]
        below = sums[contexts[rows], tree.low[children]]
        probs[rows, letters] = (above - below) / mass[rows]
        places = tree.word[nodes]
        ends = places >= 0
        places = places.clamp(min=0)
        last = sums.shape[1] - 1
        word = sums[contexts, (places + 1).clamp(max=last)] - sums[contexts, places]
        for border in (self.space, self.eos):
            otherwise = probs[:, border].masked_fill(at_root, TINY)
            probs[:, border] = torch.where(ends, word / mass, otherwise)
        scores = probs.clamp(min=TINY).log()
        scores = scores.masked_fill(lost[:, None], NEVER)
        return scores.masked_fill(outside[:, None], 0.0), None


class MultiLevelLM(WordScorer):
    """A character model inside words, corrected at their end to the word model.

    Args:
        model: reads words.
        words: word -> id.
        char_list: the recogniser's tokens by id.
        device: where it runs.
        subwords: scores characters.
    """

    subword_weight = SUBWORD_WEIGHT

    def __init__(
        self,
        model: Stepwise,
        words: Mapping[str, int],
        char_list: Sequence[str],
        device: torch.device | str = "cpu",
        *,
        subwords: BatchScorer,
    ) -> None:
        super().__init__(model, words, char_list, device)
        self.subwords = subwords

    def keep(self, log_probs: Tensor) -> tuple[Tensor, ...]:
        """Log-probabilities (K, W)."""
        return (log_probs,)

    def first(self, state: WordState, memory: Tensor, beam: int) -> WordState:
        """See :class:`WordScorer`."""
        inner = self.subwords.start(memory, memory.new_ones(len(memory)), beam)
        rows = len(state.contexts)
        table = state.known[0].new_zeros(rows, self.vocabulary)
        return replace(state, more=_Spelling(inner, table, table[:, 0]))

    def rate(self, tokens: Tensor, before: Any, state: WordState) -> tuple[Tensor, Any]:
        """See :class:`WordScorer`."""
        letters = before.scores.gather(1, tokens[:, None])[:, 0]
        at_root = state.nodes == ROOT
        spelled = (before.spelled + letters).masked_fill(at_root, 0.0)
        scores, inner = self.subwords.score(tokens, before.inner)
        scores = scores * self.subword_weight
        words = self._words(state.nodes)
        (known,) = state.known
        ends = known[state.contexts, words]
        is_word = words != self.unknown_word
        ends = torch.where(is_word, ends - spelled, ends).masked_fill(at_root, NEVER)
        for border in (self.space, self.eos):
            scores[:, border] = ends
        return scores, _Spelling(inner, scores, spelled)

    def prepared(self) -> MultiLevelLM:
        """See :meth:`BatchScorer.prepared`."""
        twin = copy(self)
        twin.subwords = self.subwords.prepared()
        return twin

    def select(self, state: WordState, rows: Tensor, tokens: Tensor) -> WordState:
        """See :class:`BatchScorer`."""
        more = state.more
        chosen = _Spelling(
            self.subwords.select(more.inner, rows, tokens),
            more.scores[rows],
            more.spelled[rows],
        )
        return replace(super().select(state, rows, tokens), more=chosen)


@dataclass(frozen=True)
class _Spelling:
    """What the multi-level combination remembers of N hypotheses.

    Attributes:
        inner: of the character model.
        scores: its weighted scores of the newest character (N, V).
        spelled: their sum since the last space (N,).
    """

    inner: Any
    scores: Tensor
    spelled: Tensor
