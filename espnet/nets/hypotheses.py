"""What a label-synchronous search finds, and what it must remember to tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

INF = float("inf")


@dataclass(frozen=True)
class Hypothesis:
    """An output and its score.

    Attributes:
        yseq: start symbol, tokens and, unless it is a CTC path, end symbol. An output
            that was cut at the longest length may show two end symbols, as in ESPnet1.
        score: weighted sum of ``parts``.
        parts: what each scorer gave, unweighted.
    """

    yseq: list[int]
    score: float
    parts: dict[str, float] = field(default_factory=dict)

    def asdict(self) -> dict[str, Any]:
        """The form that ``recognize`` returns."""
        return {"yseq": self.yseq, "score": self.score}


@dataclass(frozen=True)
class Outcome:
    """What a search found for one utterance.

    Attributes:
        nbest: hypotheses, best first; at least one.
        frames: encoder frames.
        longest: the limit of the output, in tokens; below 0 if there is none.
        shortest: likewise the least.
        ended: hypotheses that ended in all.
    """

    nbest: list[Hypothesis]
    frames: int
    longest: int
    shortest: int
    ended: int

    @property
    def cut(self) -> bool:
        """True if the best output had to end at the limit."""
        yseq = self.nbest[0].yseq
        return 0 < self.longest == len(yseq) - 2 and yseq[-2] != yseq[-1]


class Step(NamedTuple):
    """A step of B' utterances: W places each, the first of them for running hypotheses.

    Attributes:
        active: the utterances (B',).
        tokens: appended (B', W).
        parents: the place of the hypothesis that was continued (B', W).
        ended: scores of those that end here (B', W), -inf for all others.
        parts: what each scorer gave them (B', W, S).
        forced: (B', W), True where an end symbol follows that nobody scored.
    """

    active: Tensor
    tokens: Tensor
    parents: Tensor
    ended: Tensor
    parts: Tensor
    forced: Tensor


class History:
    """Back-pointers and the hypotheses that ended, step by step, of B utterances."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.steps: list[Step] = []

    def add(self, step: Step) -> None:
        """File a step."""
        self.steps.append(step)

    def _tables(self) -> list[np.ndarray]:
        """Tokens, parents, ended, parts and forced of all steps (steps, B, W[, S])."""
        tables = []
        for item, empty in enumerate((0, 0, -INF, 0.0, False), 1):
            like = self.steps[0][item]
            shape = (len(self.steps), self.batch, *like.shape[1:])
            table = like.new_full(shape, empty)
            for i, step in enumerate(self.steps):
                table[i, step.active] = step[item]
            tables.append(table.cpu().numpy())
        return tables

    def nbest(
        self, count: int, names: Sequence[str], sos: int, eos: int, by_length: bool
    ) -> list[tuple[list[Hypothesis], int]]:
        """The best ended hypotheses and the number of all, for each utterance.

        Args:
            count: hypotheses of each.
            names: of the scorers.
            sos, eos: start and end symbol.
            by_length: scores are divided by the number of symbols.
        """
        tokens, parents, ended, parts, forced = self._tables()
        if by_length:
            ended = ended / (np.arange(len(ended))[:, None, None] + 2 + forced)
        width = tokens.shape[2]
        found = []
        for b in range(self.batch):
            scores = ended[:, b].flatten()  # earlier ends first, so they win a tie
            order = np.argsort(-scores, kind="stable")[:count]
            hypotheses = []
            for place in order[scores[order] > -INF].tolist():
                step, slot = divmod(place, width)
                part = dict(zip(names, parts[step, b, slot].tolist(), strict=True))
                yseq = [sos, *_trace(tokens[:, b], parents[:, b], step, slot)]
                if forced[step, b, slot]:
                    yseq.append(eos)
                hypotheses.append(Hypothesis(yseq, float(scores[place]), part))
            found.append((hypotheses, int((scores > -INF).sum())))
        return found


def _trace(tokens: np.ndarray, parents: np.ndarray, step: int, slot: int) -> list[int]:
    """The tokens that lead to ``slot`` after ``step``; tables are (steps, W)."""
    found = []
    for i in range(step, -1, -1):
        found.append(int(tokens[i, slot]))
        slot = parents[i, slot]
    return found[::-1]
