"""A constant score for each token, against the preference for short outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espnet.nets.scorer_interface import BatchScorer


class LengthBonus(BatchScorer):
    """Scores 1 for every token; its weight is the option ``penalty``.

    Args:
        vocabulary: number of tokens V.
    """

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> None:
        """Nothing to remember."""

    def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Ones (N, V)."""
        one = torch.ones(1, 1, device=tokens.device)
        return one.expand(len(tokens), self.vocabulary), state

    def select(self, state: Any, rows: Tensor, tokens: Tensor) -> Any:
        """Nothing to select."""
        return state
