"""CTC against the sum over all paths."""

from __future__ import annotations

import itertools
import logging

import pytest
import torch
from torch import Tensor

from espnet.nets.pytorch_backend.ctc import CTC, ctc_loss

HLENS = torch.tensor([5, 3])
YS = torch.tensor([[1, 1, 2], [2, -1, -1]])


def loss_over_all_paths(logits: Tensor, labels: list[int]) -> float:
    """-log of the probability of all paths (T frames) that collapse to the labels."""
    probs = logits.softmax(-1)
    total = 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        merged = [symbol for symbol, _ in itertools.groupby(path) if symbol != 0]
        if merged == labels:
            total += float(
                torch.stack([p[s] for p, s in zip(probs, path, strict=True)]).prod()
            )
    return -float(torch.tensor(total).log())


def logits() -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 3, generator=draw)


def test_loss_is_that_of_all_paths_summed_and_divided_by_the_batch() -> None:
    first = loss_over_all_paths(logits()[0], [1, 1, 2])
    second = loss_over_all_paths(logits()[1, :3], [2])
    found = ctc_loss(logits(), HLENS, YS)
    assert float(found) == pytest.approx((first + second) / 2, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_loss_of_half_precision_logits_is_computed_in_single(
    dtype: torch.dtype,
) -> None:
    low = logits().to(dtype)
    found = ctc_loss(low, HLENS, YS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, ctc_loss(low.float(), HLENS, YS))


def test_labels_without_enough_frames_add_nothing_and_are_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ctc = CTC(3, 4)
    hs = torch.randn(2, 5, 4, requires_grad=True)
    hlens = torch.tensor([5, 3])
    ys = torch.tensor([[1, 2, -1], [1, 1, 2]])  # 1 1 2 needs 4 frames
    with caplog.at_level(logging.WARNING):
        loss, _ = ctc(hs, hlens, ys)
        ctc(hs, hlens, ys)
    loss.backward()
    alone, _ = ctc(hs[:1], hlens[:1], ys[:1])
    torch.testing.assert_close(loss, alone / 2)
    assert hs.grad is not None
    assert not hs.grad[1].any()
    assert ctc.impossible == 2
    [line] = caplog.messages
    assert line.startswith("1 of 2 utterances")


def test_dropout_acts_on_the_loss_in_training_and_never_on_the_path() -> None:
    torch.manual_seed(0)
    ctc = CTC(3, 4, dropout_rate=0.5)
    hs = torch.randn(2, 5, 4)
    first, path = ctc(hs, HLENS, YS)
    second, _ = ctc(hs, HLENS, YS)
    assert first != second
    torch.testing.assert_close(path, ctc.log_softmax(hs).argmax(-1))
    torch.testing.assert_close(ctc.softmax(hs), ctc.log_softmax(hs).exp())
    ctc.eval()
    torch.testing.assert_close(ctc(hs, HLENS, YS), ctc(hs, HLENS, YS))
