"""What a search asks of a score (attention decoder, CTC, language model, ...).

A search keeps ``beam`` hypotheses for each of B utterances, N = B * beam rows in all;
row i belongs to utterance ``i // beam``. A scorer sees all rows at once and keeps what
it needs between steps in a state of its own making.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor


class BatchScorer(ABC):
    """Log-probabilities of the next token for N hypotheses at once.

    Attributes:
        first_token: what a Transducer search, which begins with blank, lets it read
            first instead; None: blank.
    """

    first_token: int | None = None

    def prepared(self) -> BatchScorer:
        """What a label-synchronous search runs: itself, or a twin ready for many steps.

        The twin may keep the weights of now, and its states are used only once.
        """
        return self

    @abstractmethod
    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> Any:
        """The state before the first token (the start symbol is not scored).

        Args:
            memory: encoder output (B, T, E), zeros behind each length.
            lengths: valid frames (B,).
            beam: hypotheses per utterance.
        """

    @abstractmethod
    def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Score every next token.

        Args:
            tokens: the newest token of each hypothesis (N,), first the start symbol.
            state: as ``start``, ``score`` and ``select`` left it.

        Returns:
            Log-probabilities (N, V) and the state after reading ``tokens``.
        """

    @abstractmethod
    def select(self, state: Any, rows: Tensor, tokens: Tensor) -> Any:
        """The state of the hypotheses that go on.

        Args:
            state: of N hypotheses, as ``score`` returned it.
            rows: for each new hypothesis the row that it continues (M,); M is a
                multiple of ``beam`` and rows of an utterance stay together, so
                utterances that have ended can be left out.
            tokens: the token that each new hypothesis appends (M,).
        """

    def merged(self, states: Sequence[Any]) -> list[tuple[list[int], Any]]:
        """As few states as hold the hypotheses of all, for fewer calls of ``score``.

        Args:
            states: as ``select`` returned them.

        Returns:
            Pairs: numbers of states, and one state with the hypotheses of these, one
            behind the other.
        """
        return [([number], state) for number, state in enumerate(states)]

    def final_score(self, state: Any, rows: Tensor) -> Tensor | None:
        """What is added to hypotheses that end, or None for nothing.

        Args:
            state: of N hypotheses, as ``score`` returned it.
            rows: the hypotheses whose end is scored (M,); returns (M,).
        """
        return None


class PartialScorer(ABC):
    """A score that is computed for a few candidate tokens only, such as CTC's.

    Attributes:
        blank: a token that it makes impossible, or None.
    """

    blank: int | None = None

    @abstractmethod
    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> Any:
        """As :meth:`BatchScorer.start`."""

    @abstractmethod
    def score_partial(
        self, tokens: Tensor, state: Any, candidates: Tensor | None
    ) -> tuple[Tensor, Any]:
        """Score some next tokens of each hypothesis.

        Args:
            tokens: the newest token of each hypothesis (N,).
            state: as ``start`` and ``select`` left it.
            candidates: the tokens to score (N, K); None for the whole vocabulary.

        Returns:
            Log-probabilities (N, K) or (N, V), -inf for the impossible, and a state.
        """

    @abstractmethod
    def select(self, state: Any, rows: Tensor, tokens: Tensor) -> Any:
        """As :meth:`BatchScorer.select`; ``tokens`` are among the candidates."""


class ScorerInterface(ABC):
    """A score written for one hypothesis, as plug-ins of ESPnet1 are.

    The search wraps it (:class:`espnet.nets.scorers.single.SingleScorer`) and calls it
    once per hypothesis; subclass :class:`BatchScorer` for speed.
    """

    def init_state(self, x: Tensor) -> Any:
        """The state before the first token; ``x`` is the encoder output (T, E)."""
        return None

    @abstractmethod
    def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        """Log-probabilities (V,) of the token that follows ``y`` (L,), and a state."""

    def final_score(self, state: Any) -> float:
        """A score that is added when the hypothesis ends."""
        return 0.0


class TransducerScorer(ABC):
    """The scores of a Transducer, which has one for each pair of frame and prefix.

    A prefix is blank and then labels. Frames and prefixes are vectors of one size J.

    Attributes:
        vocabulary: number of symbols V; blank is 0.
        sees_batch: a prefix's vector depends on the longest one that is read with it,
            as in ESPnet1 it did for decoders that are not recurrent.
    """

    vocabulary: int
    sees_batch: bool = False

    @abstractmethod
    def frames(self, memory: Tensor) -> Tensor:
        """The vectors (B, T, J) of encoder output (B, T, E)."""

    @abstractmethod
    def initial(self) -> Any:
        """The state before anything is read."""

    @abstractmethod
    def read(
        self,
        prefixes: Sequence[tuple[int, ...]],
        states: Sequence[Any],
        widths: Sequence[int] | None = None,
    ) -> tuple[Tensor, list[Any]]:
        """Read the last label of each of N prefixes.

        Args:
            prefixes: with their first blank.
            states: of each prefix without its last label.
            widths: length of the longest prefix that was read along with each, if
                ``sees_batch``; None: each was alone.

        Returns:
            Vectors (N, J) and the state of each prefix.
        """

    @abstractmethod
    def logits(self, frames: Tensor, prefixes: Tensor) -> Tensor:
        """Scores (..., V) before the softmax, of broadcast vectors (..., J)."""
