"""What a search asks of a prediction network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

Prefix = tuple[int, ...]  # blank, then labels


class PredictionNetwork(ABC):
    """Reads labels, the first of which is blank, and gives a vector for each prefix.

    Attributes:
        sees_batch: see :class:`espnet.nets.scorer_interface.TransducerScorer`.
    """

    sees_batch: bool = False

    @abstractmethod
    def initial(self) -> Any:
        """The state before anything is read."""

    @abstractmethod
    def step(
        self,
        prefixes: Sequence[Prefix],
        states: Sequence[Any],
        widths: Sequence[int] | None = None,
    ) -> tuple[Tensor, list[Any]]:
        """Read the last label of each prefix, in evaluation.

        Args:
            prefixes: N label sequences with their first blank.
            states: of each prefix without its last label.
            widths: if ``sees_batch``, length of the longest prefix that is read along
                with each; None: each is alone.

        Returns:
            Vectors (N, D) and the state of each prefix.
        """
