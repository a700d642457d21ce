"""The best path of a text, compared with an enumeration of all paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from espnet.asr.align import TooShort, align, align_transducer, frames_needed, spread
from espnet.nets.scorer_interface import TransducerScorer
from espnet.utils.errors import UserError

RANDOM = np.random.default_rng(0)


def log_probs(frames: int, symbols: int = 4) -> np.ndarray:
    return np.log(RANDOM.dirichlet(np.ones(symbols), frames))


def all_paths(ids: Sequence[int], frames: int) -> Iterator[list[int]]:
    """States of every CTC path of a text: 2n is the blank before token n."""

    def go_on(path: list[int]) -> Iterator[list[int]]:
        if len(path) == frames:
            if path[-1] >= 2 * len(ids) - 1:
                yield path
            return
        state = path[-1]
        after = [state, state + 1]
        token = state // 2
        if state % 2 and token + 1 < len(ids) and ids[token] != ids[token + 1]:
            after.append(state + 2)
        for following in after:
            if following <= 2 * len(ids):
                yield from go_on([*path, following])

    for first in (0, 1) if ids else (0,):
        yield from go_on([first])


@pytest.mark.parametrize("kinds", [1, 3])
@pytest.mark.parametrize("text", [[1], [1, 2], [2, 2], [1, 1, 2], [3, 1, 3], []])
def test_best_of_all_paths(text: list[int], kinds: int) -> None:
    for frames in range(max(1, frames_needed(text)), 8):
        scores = log_probs(frames)
        gaps = RANDOM.integers(0, kinds, len(text) + 1)
        gap_scores = -RANDOM.random((frames, 2))
        between = np.hstack([scores[:, :1], gap_scores])

        def cost(
            path: list[int],
            scores: np.ndarray = scores,
            gaps: np.ndarray = gaps,
            between: np.ndarray = between,
        ) -> float:
            return sum(
                row[text[s // 2]] if s % 2 else gap[gaps[s // 2]]
                for s, row, gap in zip(path, scores, between, strict=True)
            )

        best = max(all_paths(text, frames), key=cost)
        found = align(scores, text, gaps=gaps, gap_scores=gap_scores)
        assert found.score == pytest.approx(cost(best))
        for token in range(len(text)):
            places = [t for t, state in enumerate(best) if state == 2 * token + 1]
            assert (found.first[token], found.last[token]) == (places[0], places[-1])
            peak = max(scores[t, text[token]] for t in places)
            assert found.peaks[token] == pytest.approx(peak)


def test_the_text_needs_a_frame_a_token_and_one_between_equal_ones() -> None:
    assert frames_needed([1, 1, 2]) == 4
    align(log_probs(4), [1, 1, 2])
    with pytest.raises(TooShort, match="needs 4 frames, there are 3") as caught:
        align(log_probs(3), [1, 1, 2])
    assert (caught.value.needed, caught.value.frames) == (4, 3)


def test_a_window_finds_the_same_and_grows_where_it_must() -> None:
    ids = RANDOM.integers(1, 4, 60)
    scores = log_probs(300)
    whole = align(scores, ids)
    assert np.array_equal(align(scores, ids, window=40).first, whole.first)
    scores[:200, 1:] -= 50.0  # all is said in the last third
    late = align(scores, ids)
    assert late.first[5] >= 195
    assert np.array_equal(align(scores, ids, window=10).first, late.first)
    with pytest.raises(UserError, match="larger --max-window-size"):
        align(scores, ids, window=10, max_window=20)


def test_tokens_meet_in_the_middle_but_reach_only_so_far() -> None:
    scores = np.full((20, 3), -9.0)
    scores[:, 0] = -0.1
    scores[2, 1] = scores[6, 2] = scores[15, 1] = 0.0
    found = align(scores, [1, 2, 1])
    assert found.first.tolist() == found.last.tolist() == [2, 6, 15]
    starts, ends = found.boundaries(before=3.0, after=2.0)
    assert starts.tolist() == [0.0, 4.5, 12.0]
    assert ends.tolist() == [4.5, 9.0, 18.0]


def test_tokens_of_a_path_that_does_not_exist_are_spread() -> None:
    assert spread(10, 5).first.tolist() == [0, 2, 4, 6, 8]
    assert spread(2, 4).first.tolist() == [0, 0, 1, 1]


class Table(TransducerScorer):
    """Log-posteriors from a table (T, U, V)."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = torch.as_tensor(table)
        self.vocabulary = table.shape[-1]

    def frames(self, memory: Tensor) -> Tensor:
        return memory

    def initial(self) -> Any:
        return None

    def read(
        self,
        prefixes: Sequence[tuple[int, ...]],
        states: Sequence[Any],
        widths: Sequence[int] | None = None,
    ) -> tuple[Tensor, list[Any]]:
        return torch.tensor([[float(len(p) - 1)] for p in prefixes]), [None]

    def logits(self, frames: Tensor, prefixes: Tensor) -> Tensor:
        return self.table[:, int(prefixes[0, 0])]


@pytest.mark.parametrize("text", [[], [1], [2, 1], [1, 1, 2]])
def test_transducer_best_of_all_paths(text: list[int]) -> None:
    for frames in (1, 3, 5):
        table = np.log(RANDOM.dirichlet(np.ones(3), (frames, len(text) + 1)))

        def cost(places: Sequence[int], table: np.ndarray = table) -> float:
            spoken = sum(table[t, n, text[n]] for n, t in enumerate(places))
            read = [sum(p <= t for p in places) for t in range(len(table))]
            return spoken + sum(table[t, n, 0] for t, n in enumerate(read))

        ways = combinations_with_replacement(range(frames), len(text))
        best = max(ways, key=cost)
        found = align_transducer(Table(table), torch.zeros(frames, 1), text)
        assert found.score == pytest.approx(cost(best))
        assert tuple(found.first) == best
        assert found.peaks == pytest.approx(
            [table[t, n, text[n]] for n, t in enumerate(best)]
        )
