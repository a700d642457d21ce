"""The adaptive expansion search over arrays, beside one of an utterance in lists."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_transducer_search import LAST, TableScorer, Unigram, V, memory, run
from torch import Tensor

from espnet.nets.transducer_search import arrays, maes
from espnet.nets.transducer_search.arrays import Hyps

Prefix = tuple[int, ...]
Score = Callable[[int, Prefix], list[float]]


def reference(
    score: Score,
    lm: Callable[[Prefix], list[float]],
    frames: int,
    beam: int,
    nstep: int = 2,
    alpha: int = 2,
    gamma: float = 2.3,
    beta: int = 2,
) -> list[tuple[list[int], float]]:
    """All hypotheses at the end with their scores, as the rules say it.

    Args:
        score: log-probabilities of all symbols for a frame and a prefix.
        lm: weighted scores of the next label for a prefix.
    """
    kept: dict[Prefix, float] = {(0,): 0.0}
    for t in range(frames):
        begin = dict(kept)
        for long in kept:
            for short in kept:
                lacks = len(long) - len(short)
                if 0 < lacks <= alpha and long[: len(short)] == short:
                    path = kept[short] + sum(
                        score(t, long[:end])[long[end]]
                        for end in range(len(short), len(long))
                    )
                    begin[long] = float(np.logaddexp(begin[long], path))
        waiting: list[tuple[Prefix, float]] = []
        now = list(begin.items())
        for step in range(nstep):
            longer = []
            for prefix, total in now:
                values = score(t, prefix)
                top = sorted(range(V), key=lambda k: -values[k])[: beam + beta]
                for k in top:
                    if values[k] < max(values) - gamma:
                        continue
                    if k == 0:
                        waiting.append((prefix, total + values[0]))
                    elif (*prefix, k) not in begin:
                        more = values[k] + lm(prefix)[k]
                        longer.append(((*prefix, k), total + more))
            if not longer:
                break
            now = longer
            if step == nstep - 1:
                waiting += [(prefix, s + score(t, prefix)[0]) for prefix, s in now]
        waiting.sort(key=lambda pair: -pair[1])
        kept = dict(waiting[:beam])
    return [(list(prefix), s) for prefix, s in kept.items()]


def scores_of(xs: Tensor) -> Score:
    table = [
        [(frame + label).log_softmax(-1).tolist() for label in TableScorer().of_label]
        for frame in xs
    ]
    return lambda t, prefix: table[t][sum(prefix) % LAST]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nstep": 3},
        {"prefix_alpha": 0},
        {"prefix_alpha": 1, "nstep": 4, "expansion_gamma": 1.0},
        {"prefix_alpha": 5, "expansion_gamma": 5.0},
        {"expansion_beta": 0, "expansion_gamma": 50.0},
        {"beam_size": 4, "expansion_gamma": 0.1},
        {"lm_weight": 0.4, "nstep": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("blank", [0.0, 2.0, 5.0])
def test_it_is_what_the_rules_say(options: dict[str, Any], blank: float) -> None:
    xs, lengths = memory(14, rows=5, seed=3), [14, 9, 1, 13, 14]
    xs[..., 0] += blank
    given = {"beam_size": 3, "nstep": 2, "lm_weight": 0.0, **options}
    weight = given["lm_weight"]
    found = run(
        *(xs, lengths, Unigram()),
        search_type="maes",
        nbest=9,
        score_norm=False,
        **given,
    )

    def lm(prefix: Prefix) -> list[float]:
        return (weight * (Unigram.log_probs - (len(prefix) - 1.0))).tolist()

    for x, length, hyps in zip(xs, lengths, found, strict=True):
        expected = reference(
            *(scores_of(x), lm, length),
            *(given["beam_size"], max(2, given["nstep"])),
            *(given.get("prefix_alpha", 2), given.get("expansion_gamma", 2.3)),
            given.get("expansion_beta", 2),
        )
        assert [yseq for yseq, _ in hyps] == [yseq for yseq, _ in expected]
        assert [s for _, s in hyps] == pytest.approx([s for _, s in expected], rel=1e-5)


def test_hypotheses_without_prospects_can_be_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    xs, lengths = memory(9, rows=6), [9] * 6
    options = {"beam_size": 3, "nbest": 3, "search_type": "maes", "nstep": 3}
    pruned = run(xs, lengths, **options)

    def everything(self: Any, rows: Any, scores: Any, waiting: Any) -> Any:
        return np.ones(len(rows), bool)

    monkeypatch.setattr(maes._Search, "_promising", everything)
    assert run(xs, lengths, **options) == pruned


@pytest.mark.parametrize("most", [1, 3, 64])
def test_frames_scored_ahead_change_nothing(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    xs, lengths = memory(30, rows=3), [30, 20, 7]
    xs[..., 0] += 4.0
    options = {"beam_size": 3, "nbest": 3, "search_type": "maes"}
    expected = run(xs, lengths, **options)
    monkeypatch.setattr(maes, "MOST_FRAMES", most)
    for found, one in zip(run(xs, lengths, **options), expected, strict=True):
        assert [yseq for yseq, _ in found] == [yseq for yseq, _ in one]
        assert [s for _, s in found] == pytest.approx([s for _, s in one])


def test_ranks_begin_anew_with_each_utterance() -> None:
    rows, scores = np.array([2, 0, 2, 0, 2, 5]), np.array([1.0, 5, 3, 6, 2, -math.inf])
    ranked, ranks = Hyps(rows, np.arange(6), scores).ranked()
    assert ranked.rows.tolist() == [0, 0, 2, 2, 2, 5]
    assert ranked.nodes.tolist() == [3, 1, 2, 4, 0, 5]
    assert ranks.tolist() == [0, 1, 0, 1, 2, 0]
    none = Hyps(*(np.empty(0, np.int64),) * 3)
    assert len(none.ranked()[1]) == 0


def test_candidates_share_their_places_with_blank() -> None:
    log_probs = torch.tensor([[-1.0, -2.0, -0.5, -3.0], [-9.0, -1.0, -1.1, -1.2]])
    scores = arrays.Scores.of(log_probs, count=2, gamma=1.0)
    assert scores.labels.tolist() == [[2, 1], [1, 2]]
    assert scores.may_wait.tolist() == [True, False]
    assert scores.may_grow.tolist() == [[True, False], [True, True]]
