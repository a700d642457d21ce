"""Steps that would spoil the model: found, left out, and counted."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

from espnet.utils.errors import UserError

MAX_NAMED = 10


def updates(count: int) -> str:
    """``1 update``, ``2 updates``."""
    return f"{count} update{'' if count == 1 else 's'}"


class StepGuard:
    """Refuses updates whose loss or gradient is NaN or infinite.

    Args:
        max_in_row: refused updates one after the other that end the training.
    """

    def __init__(self, max_in_row: int) -> None:
        self.max_in_row = max_in_row
        self.skipped = 0
        self.in_row = 0

    def accept(
        self,
        norm: float,
        losses: Sequence[float],
        uttids: Sequence[Sequence[str]],
        is_scaled: bool = False,
    ) -> bool:
        """Whether the update may be made.

        Args:
            norm: of the gradient.
            losses: of the minibatches that it sums up.
            uttids: names of the utterances of each.
            is_scaled: the loss was scaled for float16, where an infinite gradient only
                means that the scale is still too large.

        Raises:
            UserError: too many in a row were refused.
        """
        both = zip(uttids, losses, strict=True)
        bad = [names for names, loss in both if not math.isfinite(loss)]
        if not bad and math.isfinite(norm):
            self.in_row = 0
            return True
        self.skipped += 1
        self.in_row += 1
        what = f"loss {losses}" if bad else f"gradient norm {norm}"
        named = [uttid for names in bad or uttids for uttid in names]
        more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
        shown = ", ".join(named[:MAX_NAMED]) + more
        logging.log(
            logging.INFO if is_scaled and not bad else logging.WARNING,
            "%s is not finite; update left out (%d so far); utterances: %s",
            what,
            self.skipped,
            shown,
        )
        if self.in_row >= self.max_in_row:
            raise UserError(
                f"training stopped: {updates(self.in_row)} in a row had a loss or "
                f"gradient that is not finite, the last with {what} on {shown}. Look "
                "at the features of these utterances (NaN, silence), lower the "
                "learning rate, or use --train-dtype float32; the snapshots are good"
            )
        return False

    def state(self) -> dict[str, int]:
        """What :meth:`restore` takes."""
        return {"skipped": self.skipped, "in_row": self.in_row}

    def restore(self, state: Mapping[str, int]) -> None:
        """Continue from a state."""
        self.skipped, self.in_row = state["skipped"], state["in_row"]
