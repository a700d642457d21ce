"""The Transformer decoder step by step, and its loss."""

from __future__ import annotations

import math

import pytest
import torch
from asr_models import ODIM, build
from torch import Tensor

from espnet.nets.pytorch_backend.nets_utils import IGNORE
from espnet.nets.pytorch_backend.transformer.decoder import Decoder
from espnet.nets.pytorch_backend.transformer.label_smoothing import (
    smoothed_divergence,
)
from espnet.nets.pytorch_backend.transformer.mixers import MIXERS

EOS = ODIM - 1
STEPS = 20  # more than a cache first holds


def decoder(mixer: str) -> Decoder:
    model = build(
        "transformer-conv2d", transformer_decoder_selfattn_layer_type=mixer
    ).eval()
    assert isinstance(model.decoder, Decoder)
    return model.decoder


def memory() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    hs, hlens = torch.randn(3, 9, 8), torch.tensor([9, 4, 6])
    for h, length in zip(hs, hlens, strict=True):
        h[length:] = 0.0
    return hs, hlens


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("prepared", [False, True])
def test_steps_equal_teacher_forcing(mixer: str, prepared: bool) -> None:
    """With a beam of 2; rows are reordered and the second utterance leaves."""
    model = decoder(mixer)
    hs, hlens = memory()
    beam = 2
    scorer = model.prepared() if prepared else model
    state = scorer.start(hs, hlens, beam)
    utterances = torch.tensor([0, 0, 1, 1, 2, 2])
    prefixes = torch.full((6, 1), EOS)
    draw = torch.Generator().manual_seed(5)
    for step in range(STEPS):
        scores, state = scorer.score(prefixes[:, -1], state)
        with torch.no_grad():
            logits = model(hs[utterances], hlens[utterances], prefixes)
        expected = logits[:, -1].log_softmax(-1)
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
        rows = torch.arange(len(utterances)).view(-1, beam)
        if step == 7:
            rows = rows[[0, 2]]
        rows = rows.gather(1, torch.randint(beam, rows.shape, generator=draw)).flatten()
        tokens = torch.randint(ODIM, rows.shape, generator=draw)
        state = scorer.select(state, rows, tokens)
        utterances = utterances[rows]
        prefixes = torch.cat([prefixes[rows], tokens[:, None]], 1)
    assert utterances.tolist() == [0, 0, 2, 2]


def test_labels_see_no_later_ones_and_no_padding() -> None:
    for mixer in MIXERS:
        model = decoder(mixer)
        hs, hlens = memory()
        ys = torch.tensor([[EOS, 3, 4, 5]] * 3)
        with torch.no_grad():
            found = model(hs, hlens, ys)
            changed = hs.clone()
            changed[1, 4:] = 9.0
            other = model(changed, hlens, torch.tensor([[EOS, 3, 5, 1]] * 3))
        torch.testing.assert_close(found[:, :2], other[:, :2])
        assert not torch.allclose(found[:, 2:], other[:, 2:])


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.9, 1.0])
def test_smoothed_divergence(weight: float) -> None:
    """Against the sum of q (log q - log p) over all symbols of all labels."""
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5)
    ys_out = torch.tensor([[1, 4, 2], [0, 4, IGNORE]])
    expected = 0.0
    for row, labels in zip(logits.log_softmax(-1), ys_out, strict=True):
        for log_p, label in zip(row.tolist(), labels.tolist(), strict=True):
            for symbol in range(5 if label != IGNORE else 0):
                q = 1 - weight if symbol == label else weight / 4
                expected += q * (math.log(q) - log_p[symbol]) if q > 0 else 0.0
    found = smoothed_divergence(logits, ys_out, weight)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    low = smoothed_divergence(logits.bfloat16(), ys_out, weight)
    assert low.dtype == torch.float32
