"""What the hypotheses of a beam have read, each label kept once.

Hypotheses share all labels that they read before they parted, so that those of a beam
form a tree with few branches. Caches have a slot for each label of the tree: nothing is
copied when hypotheses are replaced, and at 400 labels a step of the decoder takes
little longer than at 10, where caches of their own would make it three times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

STEPS = 8  # labels between two clearances of the slots


@dataclass(frozen=True)
class Choice:
    """The hypotheses that go on, and what is left of the slots.

    Attributes:
        rows: for each new hypothesis the one that it continues (M,).
        utterances: those that are left (B',), or None for all.
        slots: those that are left, of each utterance (B', S'), or None for all.
    """

    rows: Tensor
    utterances: Tensor | None
    slots: Tensor | None


@dataclass(frozen=True)
class Branches:
    """Which labels of the tree are those of each hypothesis.

    Attributes:
        seen: (B, beam, S) with True = the label in this slot.
        position: labels that each hypothesis has read.
    """

    seen: Tensor
    position: int = 0

    @cached_property
    def mask(self) -> Tensor:
        """What is added to scores (B, 1, beam, S): 0 for seen labels, else -inf."""
        hidden = torch.zeros(self.seen.shape, device=self.seen.device)
        return hidden.masked_fill_(~self.seen, -torch.inf)[:, None]

    @classmethod
    def none(cls, batch: int, beam: int, device: torch.device) -> Branches:
        """Those of hypotheses that have read nothing."""
        return cls(torch.empty(batch, beam, 0, dtype=torch.bool, device=device))

    def grown(self, visible: Tensor | None = None) -> Branches:
        """With ``beam`` slots more, for one more label of each hypothesis.

        Args:
            visible: False for labels (N,) that nothing sees, not even later ones; None:
                all are seen.
        """
        batch, beam, _ = self.seen.shape
        own = torch.eye(beam, dtype=torch.bool, device=self.seen.device)
        own = own.expand(batch, -1, -1)
        if visible is not None:
            own = own & visible.view(batch, 1, beam)
        return Branches(torch.cat([self.seen, own], 2), self.position + 1)

    def select(self, rows: Tensor) -> tuple[Branches, Choice]:
        """Those of the hypotheses ``rows`` (M,); now and then without dead branches."""
        before, beam, _ = self.seen.shape
        seen = self.seen.flatten(0, 1)[rows].unflatten(0, (-1, beam))
        utterances = rows[::beam] // beam if len(seen) < before else None
        slots = None
        if self.position % STEPS == 0:
            alive = seen.any(1)
            count = int(alive.sum(1).max())
            order = alive.byte().argsort(dim=1, descending=True, stable=True)
            slots = order[:, :count]
            seen = seen.gather(2, slots[:, None].expand(-1, beam, -1))
        return Branches(seen, self.position), Choice(rows, utterances, slots)
