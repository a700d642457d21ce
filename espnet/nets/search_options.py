"""Options of the search. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from espnet.utils.errors import UserError
from espnet.utils.options import option

APIS = ("v1", "v2")


@dataclass(frozen=True)
class SearchOptions:
    """What a search may be told by a user."""

    api: str = option(
        "v1",
        "rules for lengths and for --ctc-weight 1.0 (v1: best path, v2: prefix search)",
        choices=APIS,
    )
    nbest: int = option(1, "hypotheses kept of each utterance")
    beam_size: int = option(1, "beam; 1 is greedy search")
    penalty: float = option(0.0, "bonus for each output token")
    maxlenratio: float = option(
        0.0,
        "longest output as a share of the encoder frames; 0: all frames, and the "
        "search ends by itself; below 0 (api v2): a number of tokens",
    )
    minlenratio: float = option(
        0.0, "shortest output as a share; below 0 (api v2): a number of tokens"
    )
    ctc_weight: float = option(0.0, "weight of CTC; the attention decoder has the rest")
    lm_weight: float = option(0.1, "weight of the language model, if there is one")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        for name in ("nbest", "beam_size"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}: {getattr(self, name)} must be 1 or more")
        if not 0.0 <= self.ctc_weight <= 1.0:
            raise UserError(f"--ctc-weight: {self.ctc_weight} must lie in [0, 1]")
