"""The rules of ESPnet1's searches, ``--api v1`` and ``v2``, where they differ.

For users they are told in doc/decoding.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SearchRules:
    """Where the searches of ESPnet1 differ; all else is common to them.

    Attributes:
        prebeam: the scorers whose sum chooses the candidates of partial scorers; empty
            for all that score the whole vocabulary.
        minlen_of_output: ``minlenratio`` is a share of the longest output, not of the
            encoder frames (v1 of the RNN models; v1 of the Transformers takes frames).
        minlen_counts_ends: start and end symbol count for the shortest output.
        negative_is_length: a negative ratio is a number of tokens; otherwise a negative
            ``maxlenratio`` allows one token and a negative ``minlenratio`` any length.
        ends_beside: an end takes no place of the beam: a copy of the hypothesis ends if
            that beats the worst one that goes on. What partial scorers make impossible
            is no candidate of theirs, and the end always is one.
        always_detects_end: even if ``maxlenratio`` is not 0.
        score_per_symbol: without CTC, final scores are divided by the length.
    """

    prebeam: tuple[str, ...] = ()
    minlen_of_output: bool = False
    minlen_counts_ends: bool = False
    negative_is_length: bool = True
    ends_beside: bool = False
    always_detects_end: bool = False
    score_per_symbol: bool = False

    def limits(
        self, frames: int, maxlenratio: float, minlenratio: float
    ) -> tuple[int, int]:
        """Longest and shortest output, in tokens, for T encoder frames."""
        if maxlenratio == 0:
            longest = frames
        elif maxlenratio < 0 and self.negative_is_length:
            longest = -int(maxlenratio)
        else:
            longest = int(maxlenratio * frames)
        longest = max(1, longest)
        if minlenratio < 0 and self.negative_is_length:
            return longest, -int(minlenratio)
        basis = longest if self.minlen_of_output else frames
        return longest, max(0, int(minlenratio * basis))

    def first_end(self, shortest: int) -> int:
        """The first step (from 0) at which a hypothesis may end."""
        # after step i a hypothesis has i + 2 symbols with its start; v1 wants more
        # symbols than `shortest`, v2 wants i >= shortest
        return shortest - 1 if self.minlen_counts_ends else shortest


_V1_RNN = SearchRules(
    prebeam=("decoder",),
    minlen_of_output=True,
    minlen_counts_ends=True,
    negative_is_length=False,
)
RULES = {
    "v1": _V1_RNN,  # RNN models, --batchsize 0
    "v1 batch": SearchRules(  # RNN models, --batchsize 1 and more
        negative_is_length=False,
        ends_beside=True,
        always_detects_end=True,
        score_per_symbol=True,
    ),
    "v1 transformer": replace(_V1_RNN, minlen_of_output=False),
    "v2": SearchRules(),
}
