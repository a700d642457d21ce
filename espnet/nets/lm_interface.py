"""What training and search ask of a language model."""

from __future__ import annotations

import argparse
from abc import abstractmethod
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from espnet.nets.beam_search import Scorer
from espnet.nets.scorer_interface import BatchScorer, ScorerInterface
from espnet.utils.errors import UserError
from espnet.utils.options import add_options

IGNORE = -100  # the target where there is no token


class LMInterface(ScorerInterface):
    """A language model ``LM(n_vocab, args)``; derive it from ``torch.nn.Module`` too.

    Ids: 0 is blank and pads inputs, ``n_vocab - 1`` is start and end symbol.

    A plug-in implements ``forward`` and either ``score``, for one hypothesis, or
    ``scorer``, whose result scores many at once.

    Attributes:
        Config: the frozen dataclass of the model's options.
        recurrent: what the model remembers has no positions, so that hypotheses which
            read unequal numbers of tokens can be read on together.
    """

    Config: ClassVar[type]
    recurrent: ClassVar[bool] = False

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """Add the model's own options to a parser."""
        add_options(parser, cls.Config, f"options of {cls.__module__}")
        return parser

    @classmethod
    def build(cls, n_vocab: int, **options: Any) -> LMInterface:
        """The model with default options but for those given."""
        return cls(n_vocab, Namespace(**options))  # type: ignore[call-arg]

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The losses of a batch of sentences.

        Args:
            x: start symbol and tokens (B, L), padded with 0.
            t: tokens and end symbol (B, L), padded with -100.

        Returns:
            The loss to train with; the summed negative log-probability; the number of
            tokens. All are scalars.
        """

    def scorer(self) -> Scorer:
        """What the search runs; the model itself unless it has something faster."""
        return self

    def score(self, y: Tensor, state: Any, x: Any) -> tuple[Tensor, Any]:
        """Log-probabilities (V,) of the token that follows ``y`` (L,), and a state.

        The state is None at first; ``x`` is not used.

        Raises:
            UserError: the class has neither this nor a ``scorer`` of many at once.
        """
        scorer = self.scorer()
        if not isinstance(scorer, BatchScorer):
            kind = type(self)
            raise UserError(
                f"language model {kind.__module__}:{kind.__qualname__} has no "
                "score(y, state, x): write it, or a scorer() that returns a BatchScorer"
            )
        if state is None:
            state = scorer.start(y.new_zeros(1, 1, 0), y.new_ones(1), 1)
        else:  # a step may write into its state, which must remain for other calls
            state = scorer.select(state, y.new_zeros(1), y[-1:])
        scores, state = scorer.score(y[-1:], state)
        return scores[0], state

    def batch_score(
        self, ys: Tensor, states: Sequence[Any], xs: Any
    ) -> tuple[Tensor, list[Any]]:
        """:meth:`score` of several hypotheses ``ys`` (N, L): (N, V) and N states."""
        both = [self.score(y, state, None) for y, state in zip(ys, states, strict=True)]
        return torch.stack([scores for scores, _ in both]), [state for _, state in both]


class Stepwise(Protocol):
    """A language model that reads a token a time; its memory are tensors by rows."""

    def start(self, rows: int) -> tuple[Tensor, ...]:
        """The memory of N = ``rows`` hypotheses before the first token (N, ...)."""

    def step(
        self, tokens: Tensor, memory: tuple[Tensor, ...], position: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read a token each.

        Args:
            tokens: (N,).
            memory: as ``start`` or ``step`` gave it, rows selected at will; what is in
                it may be overwritten.
            position: tokens read before.

        Returns:
            Log-probabilities (N, V) of the next token, and the memory.
        """
