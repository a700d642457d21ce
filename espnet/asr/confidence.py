"""How sure a recogniser is of each token of its best hypothesis: 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from espnet.asr.align import Alignment
from espnet.nets.hypotheses import Outcome


def spoken(yseq: Sequence[int], odim: int) -> list[int]:
    """The tokens of an output, without start and end symbols."""
    ids = list(yseq[1:])
    while ids and ids[-1] == odim - 1:
        ids.pop()
    return ids


def posteriors(outcome: Outcome) -> np.ndarray:
    """The share of each hypothesis in the probability of the whole list (n,)."""
    scores = np.array([hypothesis.score for hypothesis in outcome.nbest])
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def agreement(outcome: Outcome, odim: int) -> np.ndarray:
    """For each token of the best hypothesis (N,): the share of the list that has it.

    Hypotheses are aligned with the best one by the fewest edits.
    """
    from rapidfuzz.distance import Levenshtein

    best, *others = (spoken(h.yseq, odim) for h in outcome.nbest)
    shares = posteriors(outcome)
    total = np.full(len(best), shares[0])
    for share, other in zip(shares[1:], others, strict=True):
        for same in Levenshtein.opcodes(best, other):
            if same.tag == "equal":
                total[same.src_start : same.src_end] += share
    return np.minimum(total, 1.0)


def token_confidences(
    outcome: Outcome, alignment: Alignment | None, odim: int
) -> np.ndarray:
    """The confidence of each token of the best hypothesis (N,), not calibrated.

    Both must believe in it: the search, whose share of hypotheses with the token is
    taken, and CTC, whose highest posterior in the token's frames is. Where the model
    has no CTC the former alone.
    """
    shares = agreement(outcome, odim)
    if alignment is not None:
        shares = shares * np.exp(alignment.peaks)
    return shares
