"""Runs searches of single utterances side by side, and scores for all of them at once.

A search is a generator: it yields which prefixes it wants scored at which frame, and is
sent the scores. So each is written for one utterance, and yet the networks see batches.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from espnet.nets.scorer_interface import BatchScorer, TransducerScorer
from espnet.nets.search_options import SearchOptions

Prefix = tuple[int, ...]
BLANK = 0
START: Prefix = (BLANK,)


class Hyp(NamedTuple):
    """A prefix and the score of the paths that were followed to it."""

    yseq: Prefix
    score: float


def by_score(hyp: Hyp) -> float:
    """What hypotheses are sorted by."""
    return hyp.score


def sort_nbest(hyps: Iterable[Hyp], options: SearchOptions) -> list[Hyp]:
    """The n best, by score per symbol (blank at the beginning counts) or by score."""
    normalised = options.score_norm

    def rank(hyp: Hyp) -> float:
        return hyp.score / len(hyp.yseq) if normalised else hyp.score

    return sorted(hyps, key=rank, reverse=True)[: options.nbest]


class Request(NamedTuple):
    """What a search wants to know.

    Attributes:
        frame: at which frame; a sequence for one of each prefix.
        prefixes: to be scored.
        reads: prefixes that ESPnet1 reads before, in one batch; they need not be
            scored.
    """

    frame: int | Sequence[int]
    prefixes: Sequence[Prefix]
    reads: Sequence[Prefix] = ()


class Row(NamedTuple):
    """The scores of a prefix at a frame.

    Attributes:
        log_probs: of all symbols (V,).
        blank: of blank.
        labels: the best labels, best first.
        scores: theirs.
        lm: weighted scores of the language model (V,), if there is one.
    """

    log_probs: np.ndarray
    blank: float
    labels: list[int]
    scores: list[float]
    lm: np.ndarray | None

    def extensions(self, hyp: Hyp, count: int) -> list[Hyp]:
        """The hypotheses that the ``count`` best labels make of one."""
        pairs = zip(self.labels[:count], self.scores, strict=False)
        if self.lm is None:
            return [Hyp((*hyp.yseq, k), hyp.score + score) for k, score in pairs]
        return [
            Hyp((*hyp.yseq, k), hyp.score + score + float(self.lm[k]))
            for k, score in pairs
        ]


SearchRun = Generator[Request, list[Row], list[Hyp]]


@dataclass(slots=True)
class Known:
    """What was computed for a prefix.

    Attributes:
        number: of the prefix among all, and of its vector.
        state: of the prediction network.
        lm: scores (V,), with the state that they came with and the row in it.
    """

    number: int
    state: Any
    lm: np.ndarray | None = None
    lm_state: Any = None
    lm_row: int = 0


class Driver:
    """Answers requests.

    Attributes:
        prefixes: all that were read, by their numbers.
        known: what was computed for them; one dictionary for each utterance.

    Args:
        scorer: of the model.
        memory: encoder output (B, T, E).
        lengths: frames (B,).
        best: labels that each row names.
        temperature: what logits are divided by.
        lm: a language model; it reads blank, then the labels.
        lm_weight: its weight.
        together: ESPnet1 reads the prefixes of a request in one batch, which matters
            to a scorer that ``sees_batch``.
    """

    def __init__(
        self,
        scorer: TransducerScorer,
        memory: Tensor,
        lengths: Tensor,
        best: int,
        temperature: float = 1.0,
        lm: BatchScorer | None = None,
        lm_weight: float = 0.0,
        together: bool = True,
    ) -> None:
        self.scorer = scorer
        frames = scorer.frames(memory)
        self.width = frames.shape[1]
        self.frames = frames.flatten(0, 1)
        self.memory = memory
        self.lengths = lengths
        self.best = best
        self.temperature = temperature
        self.lm = lm
        self.lm_weight = lm_weight
        self.together = together and scorer.sees_batch
        # the vector of a prefix does not change from frame to frame, nor, as a rule,
        # from utterance to utterance
        common: dict[Prefix, Known] = {}
        alone = self.together or lm is not None
        self.known = [{} if alone else common for _ in lengths]
        self.prefixes: list[Prefix] = []
        self.vectors = frames.new_empty(0, frames.shape[2])  # (capacity, J)

    def run(self, searches: Sequence[SearchRun]) -> list[list[Hyp]]:
        """What each search returns; one for each utterance."""
        results: list[list[Hyp]] = [[] for _ in searches]
        requests = {row: next(search) for row, search in enumerate(searches)}
        while requests:
            answers = self._serve(requests)
            waiting, requests = requests, {}
            for row in waiting:
                try:
                    requests[row] = searches[row].send(answers[row])
                except StopIteration as end:
                    results[row] = end.value
        return results

    def _serve(self, requests: dict[int, Request]) -> dict[int, list[Row]]:
        """The scores that searches ask for, by utterance."""
        if self.together:
            self.read({row: request.reads for row, request in requests.items()})
        self.read({row: request.prefixes for row, request in requests.items()})
        known = [
            self.known[row][prefix]
            for row, request in requests.items()
            for prefix in request.prefixes
        ]
        places = [
            row * self.width + frame
            for row, request in requests.items()
            for frame in (
                [request.frame] * len(request.prefixes)
                if isinstance(request.frame, int)
                else request.frame
            )
        ]
        rows = iter(self._rows(places, known))
        return {
            row: [next(rows) for _ in request.prefixes]
            for row, request in requests.items()
        }

    def _rows(self, places: list[int], known: list[Known]) -> list[Row]:
        """The scores of prefixes at places in the flattened frames."""
        if not known:
            return []
        device = self.frames.device
        numbers = torch.tensor([one.number for one in known], device=device)
        log_probs = self.log_probs(torch.tensor(places, device=device), numbers)
        scores, labels = log_probs[:, 1:].topk(self.best, -1)
        return [
            Row(row, blank, ids, best, one.lm)
            for row, blank, ids, best, one in zip(
                log_probs.cpu().numpy(),
                log_probs[:, BLANK].tolist(),
                (labels + 1).tolist(),
                scores.tolist(),
                known,
                strict=True,
            )
        ]

    def log_probs(self, places: Tensor, numbers: Tensor) -> Tensor:
        """Log-probabilities (..., V) of prefixes at places in the flattened frames."""
        logits = self.scorer.logits(self.frames[places], self.vectors[numbers])
        precise = torch.promote_types(logits.dtype, torch.float32)
        if self.temperature != 1.0:
            logits = logits / self.temperature
        return torch.log_softmax(logits, -1, dtype=precise)

    def read(self, wanted: Mapping[int, Sequence[Prefix]]) -> None:
        """Read the prefixes that are not known yet; their beginnings must be."""
        new: list[tuple[int, Prefix]] = []
        widths: list[int] = []
        taken: set[tuple[int, Prefix]] = set()
        for row, prefixes in wanted.items():
            known = self.known[row]
            missing = [
                prefix
                for prefix in dict.fromkeys(prefixes)
                if prefix not in known and (id(known), prefix) not in taken
            ]
            if missing:
                taken.update((id(known), prefix) for prefix in missing)
                new += ((row, prefix) for prefix in missing)
                widths += [max(map(len, missing))] * len(missing)
        if not new:
            return
        states = [
            self.known[row][prefix[:-1]].state
            if len(prefix) > 1
            else self.scorer.initial()
            for row, prefix in new
        ]
        vectors, states = self.scorer.read(
            [prefix for _, prefix in new], states, widths if self.together else None
        )
        numbers = range(len(self.prefixes), len(self.prefixes) + len(new))
        self._keep(vectors, numbers)
        for number, (row, prefix), state in zip(numbers, new, states, strict=True):
            self.known[row][prefix] = Known(number, state)
            self.prefixes.append(prefix)
        if self.lm is not None:
            self._read_lm(self.lm, new)

    def lm_scores(
        self, rows: np.ndarray, nodes: np.ndarray, labels: np.ndarray
    ) -> np.ndarray:
        """What the language model gives labels behind prefixes (N,), weighted.

        Args:
            rows: utterances (N,).
            nodes: numbers of prefixes that were read (N,).
            labels: (N,).
        """
        scores = []
        for row, node, label in zip(
            *(a.tolist() for a in (rows, nodes, labels)), strict=True
        ):
            lm = self.known[row][self.prefixes[node]].lm
            assert lm is not None
            scores.append(float(lm[label]))
        return np.array(scores)

    def _keep(self, vectors: Tensor, numbers: range) -> None:
        """Put vectors where their numbers say."""
        if numbers.stop > len(self.vectors):
            room = vectors.new_empty(2 * numbers.stop, vectors.shape[1])
            room[: numbers.start] = self.vectors[: numbers.start]
            self.vectors = room
        self.vectors[numbers.start : numbers.stop] = vectors

    def _read_lm(self, lm: BatchScorer, new: list[tuple[int, Prefix]]) -> None:
        """Let the language model read the same."""
        groups: dict[int, list[tuple[int, Prefix]]] = {}  # those from one state
        states: dict[int, Any] = {}
        for row, prefix in new:
            if len(prefix) == 1:
                one = slice(row, row + 1)
                state = lm.start(self.memory[one], self.lengths[one], 1)
            else:
                state = self.known[row][prefix[:-1]].lm_state
            states[id(state)] = state
            groups.setdefault(id(state), []).append((row, prefix))
        device = self.memory.device
        members, tokens, begun = list(groups.values()), [], []
        for key, group in groups.items():
            newest = torch.tensor([prefix[-1] for _, prefix in group], device=device)
            state = states[key]
            if len(group[0][1]) > 1:
                rows = [self.known[row][prefix[:-1]].lm_row for row, prefix in group]
                state = lm.select(state, torch.tensor(rows, device=device), newest)
            elif lm.first_token is not None:
                newest.fill_(lm.first_token)
            tokens.append(newest)
            begun.append(state)
        for numbers, merged in lm.merged(begun):
            read = torch.cat([tokens[number] for number in numbers])
            scores, state = lm.score(read, merged)
            weighted = (self.lm_weight * scores.double()).cpu().numpy()
            together = [member for number in numbers for member in members[number]]
            for place, (row, prefix) in enumerate(together):
                known = self.known[row][prefix]
                known.lm, known.lm_state, known.lm_row = weighted[place], state, place
