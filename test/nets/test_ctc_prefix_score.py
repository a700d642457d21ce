"""CTC prefix scores against the enumeration of every alignment."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from espnet.nets.ctc_best_path import ctc_best_path
from espnet.nets.ctc_prefix_score import CTCPrefixScorer

EOS = 3  # labels 1 and 2, blank 0
LENGTHS = (5, 3, 1)


class Given:
    """A CTC layer whose log-posteriors are its input."""

    def log_softmax(self, hs: Tensor) -> Tensor:
        return hs.log_softmax(-1)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """Merge repeats, drop blanks."""
    merged = [p for i, p in enumerate(path) if i == 0 or p != path[i - 1]]
    return tuple(p for p in merged if p != 0)


def string_probabilities(probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """P(string) for posteriors (T, V), from all V ** T alignments."""
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(probs.shape[1]), repeat=len(probs)):
        p = float(np.prod([probs[t, c] for t, c in enumerate(path)]))
        found[collapse(path)] = found.get(collapse(path), 0.0) + p
    return found


@pytest.fixture(params=[torch.float32, torch.float64])
def hs(request: pytest.FixtureRequest) -> Tensor:
    torch.manual_seed(1)
    return (3 * torch.randn(len(LENGTHS), max(LENGTHS), EOS + 1)).to(request.param)


@pytest.mark.parametrize("whole", [True, False], ids=["whole V", "candidates"])
def test_prefix_scores_are_sums_over_alignments(hs: Tensor, whole: bool) -> None:
    """psi(h) is P(output starts with h); psi(h, eos) is P(output is h)."""
    lengths = torch.tensor(LENGTHS)
    scorer = CTCPrefixScorer(Given(), EOS)
    candidates = None if whole else torch.tensor([[2, EOS, 0, 1]] * len(LENGTHS))
    labels = range(EOS + 1) if whole else (2, EOS, 0, 1)
    tables = [
        string_probabilities(h[:n].double().softmax(-1).numpy())
        for h, n in zip(hs, LENGTHS, strict=True)
    ]
    for prefix in [p for n in range(4) for p in product((1, 2), repeat=n)]:
        state = scorer.start(hs, lengths, 1)
        rows, tokens = torch.arange(len(LENGTHS)), torch.full((len(LENGTHS),), EOS)
        total = torch.zeros(len(LENGTHS), dtype=torch.float64)
        for label in prefix:
            scores, state = scorer.score_partial(tokens, state, candidates)
            total += scores[:, list(labels).index(label)]
            tokens = torch.full((len(LENGTHS),), label)
            state = scorer.select(state, rows, tokens)
        scores, _ = scorer.score_partial(tokens, state, candidates)
        for b, table in enumerate(tables):
            for column, label in enumerate(labels):
                longer = (*prefix, label)
                if label == EOS:
                    expected = table.get(prefix, 0.0)
                elif label == 0:
                    expected = 0.0
                else:
                    expected = sum(
                        p for s, p in table.items() if s[: len(longer)] == longer
                    )
                got = (total[b] + scores[b, column]).exp().nan_to_num(0.0)
                assert float(got) == pytest.approx(expected, rel=1e-5, abs=1e-30)


def test_strings_sum_to_one() -> None:
    """All outputs of 0 to T labels have probability 1 together."""
    torch.manual_seed(2)
    frames = 4
    scorer = CTCPrefixScorer(Given(), eos=3)
    hs = torch.randn(1, frames, 4)
    hs[..., 3] = -1e9  # CTC never reads the end symbol
    begin = scorer.start(hs, torch.tensor([frames]), 1)
    total = 0.0
    open_prefixes = [(begin, 3, 0.0)]
    for _ in range(frames + 1):
        longer = []
        for state, last, log_prob in open_prefixes:
            scores, state = scorer.score_partial(torch.tensor([last]), state, None)
            total += float((log_prob + scores[0, 3]).exp())
            for label in (1, 2):
                if scores[0, label] > -float("inf"):
                    label_ = torch.tensor([label])
                    state_ = scorer.select(state, torch.tensor([0]), label_)
                    longer.append((state_, label, log_prob + float(scores[0, label])))
        open_prefixes = longer
    assert total == pytest.approx(1.0, abs=1e-6)


def test_long_unlikely_labels_keep_their_digits() -> None:
    """Against a loop over frames in float64, with 2000 frames of tiny posteriors."""
    torch.manual_seed(3)
    frames = 2000
    hs = 8 * torch.randn(1, frames, 5)
    scorer = CTCPrefixScorer(Given(), eos=4)
    state = scorer.start(hs, torch.tensor([frames]), 1)
    log_probs = hs[0].log_softmax(-1).double().numpy()
    label_end = np.full(frames, -np.inf)
    blank_end = np.cumsum(log_probs[:, 0])
    prefix = 0.0
    last = 4
    for label in (1, 1, 2, 3, 3):
        scores, state = scorer.score_partial(
            torch.tensor([last]), state, torch.tensor([[label]])
        )
        total = np.logaddexp(label_end, blank_end)
        before = blank_end if label == last else total
        before = np.concatenate([[0.0 if last == 4 else -np.inf], before[:-1]])
        psi = np.logaddexp.reduce(before + log_probs[:, label])
        assert float(scores) == pytest.approx(psi - prefix, rel=1e-5, abs=1e-5)
        label_end, blank_end = np.empty(frames), np.empty(frames)
        ends_label = ends_blank = -np.inf
        for t in range(frames):
            ends_label, ends_blank = (
                np.logaddexp(ends_label, before[t]) + log_probs[t, label],
                np.logaddexp(ends_label, ends_blank) + log_probs[t, 0],
            )
            label_end[t], blank_end[t] = ends_label, ends_blank
        state = scorer.select(state, torch.tensor([0]), torch.tensor([label]))
        assert float(state.complete) == pytest.approx(
            np.logaddexp(ends_label, ends_blank), rel=1e-5
        )
        prefix, last = psi, label


def test_utterances_that_leave_do_not_disturb_the_others() -> None:
    """Selecting the rows of one utterance equals searching it alone."""
    torch.manual_seed(4)
    hs, lengths = torch.randn(3, 6, 5), torch.tensor([6, 4, 5])
    for whole in (True, False):
        scorer = CTCPrefixScorer(Given(), eos=4)
        candidates = torch.tensor([[1, 2, 4], [3, 2, 1]])
        together = scorer.start(hs, lengths, 2)
        alone = scorer.start(hs[2:], lengths[2:], 2)
        chosen = None if whole else candidates
        _, together = scorer.score_partial(
            torch.full((6,), 4), together, None if whole else candidates.repeat(3, 1)
        )
        _, alone = scorer.score_partial(torch.full((2,), 4), alone, chosen)
        tokens = torch.tensor([2, 1])
        together = scorer.select(together, torch.tensor([5, 4]), tokens)
        alone = scorer.select(alone, torch.tensor([1, 0]), tokens)
        for _ in range(2):
            one, together = scorer.score_partial(tokens, together, chosen)
            other, alone = scorer.score_partial(tokens, alone, chosen)
            torch.testing.assert_close(one, other)


def test_best_path() -> None:
    """Argmax, repeats merged, blanks dropped; frames behind the length do not count."""
    path = torch.tensor([[1, 1, 0, 1, 2, 2], [0, 2, 2, 1, 1, 1], [0, 0, 0, 0, 0, 0]])
    log_probs = torch.nn.functional.one_hot(path, 3).float().mul(5).log_softmax(-1)
    labels, scores = ctc_best_path(log_probs, torch.tensor([6, 3, 1]))
    assert labels == [[1, 1, 2], [2], []]
    step = float(log_probs.max())
    assert scores == pytest.approx([6 * step, 3 * step, step])
