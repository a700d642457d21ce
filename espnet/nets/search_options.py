"""Options of the search. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from espnet.utils.errors import UserError, one_of
from espnet.utils.option_values import parse_bool
from espnet.utils.options import option

APIS = ("v1", "v2")
TRANSDUCER_SEARCHES = ("default", "tsd", "alsd", "nsc", "maes")
FINITE = ("penalty", "maxlenratio", "minlenratio", "lm_weight", "ngram_weight")


@dataclass(frozen=True)
class SearchOptions:
    """What a search may be told by a user."""

    api: str = option(
        "v1",
        "rules for ends, lengths and for --ctc-weight 1.0 without a language model "
        "(v1: best path, v2: prefix search)",
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
    ctc_window_margin: int = option(0, "has no effect: CTC always scores all frames")
    lm_weight: float = option(0.1, "weight of the language model, if there is one")
    ngram_weight: float = option(0.1, "weight of the n-gram model, if there is one")
    search_type: str = option(
        "default",
        "Transducer: the search of a beam above 1",
        choices=TRANSDUCER_SEARCHES,
    )
    nstep: int = option(1, "nsc and maes: expansions per frame; maes: 2 or more")
    prefix_alpha: int = option(2, "nsc and maes: labels that a prefix may lack")
    max_sym_exp: int = option(2, "tsd: expansions per frame, that of blank included")
    u_max: int = option(400, "alsd: longest output")
    expansion_gamma: float = option(
        2.3, "maes: how much worse than the best a candidate may be"
    )
    expansion_beta: float = option(
        2,
        "maes: candidates more than the beam; if it is no whole number, the two are "
        "exchanged, as ESPnet1's tutorial has them",
    )
    score_norm: bool = option(
        True,
        "Transducer: rank hypotheses by score per symbol",
        parse=parse_bool,
        aliases=("--score-norm-transducer",),
    )
    softmax_temperature: float = option(
        1.0, "Transducer: what scores are divided by before the softmax"
    )

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        for name in ("nbest", "beam_size"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}: {getattr(self, name)} must be 1 or more")
        if not 0.0 <= self.ctc_weight <= 1.0:
            raise UserError(f"--ctc-weight: {self.ctc_weight} must lie in [0, 1]")
        for name in FINITE:
            if not math.isfinite(getattr(self, name)):
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}: {getattr(self, name)} is no finite number")
        if self.search_type not in TRANSDUCER_SEARCHES:
            raise UserError(
                one_of("--search-type", self.search_type, TRANSDUCER_SEARCHES)
            )
        for name, least in (
            ("nstep", 1),
            ("prefix_alpha", 0),
            ("max_sym_exp", 1),
            ("u_max", 0),
        ):
            if getattr(self, name) < least:
                flag = name.replace("_", "-")
                raise UserError(
                    f"--{flag}: {getattr(self, name)} must be {least} or more"
                )
        self._check_expansion()
        if self.softmax_temperature <= 0.0:
            raise UserError(
                f"--softmax-temperature: {self.softmax_temperature} must be above 0"
            )

    def expansion(self) -> tuple[int, float]:
        """Of maes: candidates more than the beam, and how much worse they may be."""
        count, worse = (getattr(self, name) for name in self._expansion_names())
        return int(count), worse

    def _expansion_names(self) -> tuple[str, str]:
        """The options that hold the two.

        ESPnet1's tutorial has them the other way round than its code. A beta that is no
        whole number can only be meant so.
        """
        if self.expansion_beta % 1 and not self.expansion_gamma % 1:
            return "expansion_gamma", "expansion_beta"
        return "expansion_beta", "expansion_gamma"

    def _check_expansion(self) -> None:
        names = self._expansion_names()
        count, worse = (getattr(self, name) for name in names)
        counting, limiting = ("--" + name.replace("_", "-") for name in names)
        if count < 0 or count % 1:
            raise UserError(
                f"{counting}: {count:g} must be a whole number, 0 or more: that many"
                " candidates there are beyond the beam"
            )
        if not 0.0 < worse < math.inf:
            raise UserError(
                f"{limiting}: {worse:g} must be above 0: a candidate's log-probability"
                " may be so much lower than the best one's"
            )
