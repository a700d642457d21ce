"""Lets a score written for one hypothesis take part in the batched search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from espnet.nets.scorer_interface import BatchScorer, ScorerInterface


@dataclass(frozen=True)
class _One:
    """One hypothesis: encoder output of its utterance, tokens, the plug-in's state."""

    memory: Tensor  # (T, E)
    tokens: Tensor  # (L,)
    inner: Any


class SingleScorer(BatchScorer):
    """Calls a :class:`ScorerInterface` once for each hypothesis.

    Args:
        scorer: the plug-in; its ``score(y, state, x)`` must leave ``state`` unchanged,
            since several hypotheses may go on from it.
    """

    def __init__(self, scorer: ScorerInterface) -> None:
        self.scorer = scorer

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> list[_One]:
        """One entry for each of the B * beam hypotheses."""
        states = []
        for frames, length in zip(memory, lengths.tolist(), strict=True):
            x = frames[:length]
            none = torch.empty(0, dtype=torch.long, device=memory.device)
            states += [_One(x, none, self.scorer.init_state(x))] * beam
        return states

    def score(self, tokens: Tensor, state: list[_One]) -> tuple[Tensor, list[_One]]:
        """Log-probabilities (N, V), one row after the other."""
        scores, states = [], []
        for token, one in zip(tokens, state, strict=True):
            y = torch.cat([one.tokens, token[None]])
            score, inner = self.scorer.score(y, one.inner, one.memory)
            scores.append(score)
            states.append(_One(one.memory, y, inner))
        return torch.stack(scores), states

    def select(self, state: list[_One], rows: Tensor, tokens: Tensor) -> list[_One]:
        """The entries of the hypotheses that go on."""
        return [state[row] for row in rows.tolist()]

    def final_score(self, state: list[_One], rows: Tensor) -> Tensor:
        """The plug-in's own score of the end (M,)."""
        finals = [float(self.scorer.final_score(state[i].inner)) for i in rows.tolist()]
        return torch.tensor(finals, device=rows.device)
