"""The parts of the CTC/attention training step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from espnet.nets.pytorch_backend.hybrid import (
    ErrorRates,
    accuracy,
    combine,
    unigram_shares,
)
from espnet.nets.pytorch_backend.nets_utils import decoder_labels, make_pad_mask

SYMBOLS = ["<blank>", "<unk>", "<space>", "a", "b", "c", "<eos>"]
RATES = ErrorRates(SYMBOLS, "<space>", "<blank>")


@pytest.mark.parametrize(
    ("alpha", "expected"), [(0.0, 4.0), (0.25, 3.5), (0.5, 3.0), (1.0, 2.0)]
)
def test_losses_are_weighted(alpha: float, expected: float) -> None:
    assert combine(alpha, torch.tensor(2.0), torch.tensor(4.0)) == expected


def test_a_loss_of_weight_zero_may_be_missing() -> None:
    assert combine(1.0, torch.tensor(2.0), None) == 2.0
    assert combine(0.0, None, torch.tensor(4.0)) == 4.0


def test_accuracy_counts_end_symbols_and_no_padding() -> None:
    logits = torch.eye(4)[torch.tensor([[1, 2, 3], [2, 3, 0]])]
    labels = torch.tensor([[1, 1, 3], [2, 3, -1]])
    assert accuracy(logits, labels) == pytest.approx(4 / 5)


def test_decoder_labels() -> None:
    ys_in, ys_out = decoder_labels(torch.tensor([[1, 2], [3, -1]]), eos=9)
    assert ys_in.tolist() == [[9, 1, 2], [9, 3, 9]]
    assert ys_out.tolist() == [[1, 2, 9], [3, 9, -1]]


def test_pad_mask_is_true_behind_the_end() -> None:
    mask = make_pad_mask(torch.tensor([1, 3]), 4)
    assert mask.int().tolist() == [[0, 1, 1, 1], [0, 0, 0, 1]]


def test_cer_of_the_ctc_path_is_the_mean_over_utterances_and_sees_no_padding() -> None:
    path = torch.tensor(
        [
            [3, 3, 0, 3, 2, 5],  # a a <space> c
            [4, 0, 0, 5, 5, 5],  # b, then padding
            [3, 3, 3, 3, 3, 3],  # for an empty reference
        ]
    )
    labels = torch.tensor([[3, 3, 2, 4], [4, 5, -1, -1], [-1, -1, -1, -1]])
    rate = RATES.ctc(path, torch.tensor([6, 3, 6]), labels)
    assert rate == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert RATES.ctc(path[2:], torch.tensor([6]), labels[2:]) is None


def test_error_rates_are_edits_per_reference_length_over_the_batch() -> None:
    heard = [[3, 2, 4], [5]]  # "a b", "c"
    said = [[3, 2, 4, 4], [3, 2, 5]]  # "a bb", "a c"
    assert RATES.characters(heard, said) == pytest.approx((1 + 1) / (3 + 2))
    assert RATES.words(heard, said) == pytest.approx((1 + 1) / (2 + 2))
    assert RATES.words([[3]], [[]]) is None


def test_unigram_counts_each_symbol_once_per_utterance(tmp_path: Path) -> None:
    def entry(ids: str) -> dict[str, object]:
        return {"output": [{"tokenid": ids}]}

    utterances = {"u1": entry("3 3 4"), "u2": entry("3"), "u3": entry("")}
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"utts": utterances}), encoding="utf-8")
    counts = torch.tensor([0.0, 1.0, 1.0, 2.0, 1.0, 1.0, 3.0])
    torch.testing.assert_close(unigram_shares(file, 7), counts / counts.sum())
