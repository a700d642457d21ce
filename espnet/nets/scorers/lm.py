"""A language model over the recogniser's own tokens as a score of the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from espnet.nets.lm_interface import Stepwise
from espnet.nets.pytorch_backend.packing import ready
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

    def prepared(self) -> BatchScorer:
        """See :class:`BatchScorer`."""
        model: object = self.model
        if not isinstance(model, nn.Module):
            return self
        return LMScorer(cast(Stepwise, ready(model)))

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

    def merged(self, states: Sequence[LMState]) -> list[tuple[list[int], LMState]]:
        """See :class:`BatchScorer`; those that have read as many tokens go together."""
        found = []
        for position in dict.fromkeys(state.position for state in states):
            chosen = [n for n, state in enumerate(states) if state.position == position]
            parts = zip(*(states[n].memory for n in chosen), strict=True)
            memory = tuple(torch.cat(part) for part in parts)
            found.append((chosen, LMState(memory, position)))
        return found
