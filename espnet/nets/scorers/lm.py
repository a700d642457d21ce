"""A language model over the recogniser's own tokens as a score of the search."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from espnet.nets.lm_interface import Stepwise
from espnet.nets.scorer_interface import BatchScorer


@dataclass(frozen=True)
class LMState:
    """What a model remembers of N hypotheses (N, ...), and how many tokens it read."""

    memory: tuple[Tensor, ...]
    position: int = 0

    def select(self, rows: Tensor) -> LMState:
        """That of some rows (M,)."""
        memory = tuple(part.index_select(0, rows) for part in self.memory)
        return LMState(memory, self.position)


class LMScorer(BatchScorer):
    """Scores every next token; what was read is not read again.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: Stepwise) -> None:
        self.model = model

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> LMState:
        """See :class:`BatchScorer`."""
        return LMState(self.model.start(len(memory) * beam))

    @torch.no_grad()
    def score(self, tokens: Tensor, state: LMState) -> tuple[Tensor, LMState]:
        """See :class:`BatchScorer`; each state is used only once."""
        scores, memory = self.model.step(tokens, state.memory, state.position)
        return scores, LMState(memory, state.position + 1)

    def select(self, state: LMState, rows: Tensor, tokens: Tensor) -> LMState:
        """See :class:`BatchScorer`."""
        return state.select(rows)
