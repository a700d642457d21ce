"""Layers of 8 and 16 bits."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from asr_models import MODELS, batch, build
from lm_models import MODELS as LM_MODELS
from lm_models import build as build_lm
from torch import Tensor, nn

from espnet.nets.asr_interface import ASRInterface
from espnet.nets.pytorch_backend.quantization import (
    PRODUCTS,
    Int8Product,
    QuantizedGRUCell,
    QuantizedLayers,
    QuantizedLinear,
    QuantizedLSTMCell,
    quantize,
)
from espnet.nets.pytorch_backend.rnn.recurrent import run_rnn
from espnet.nets.scorer_interface import BatchScorer
from espnet.nets.search_options import SearchOptions

ALL = ("Linear", "LSTM", "LSTMCell", "GRU", "GRUCell")
KINDS = (nn.Linear, nn.LSTM, nn.LSTMCell, nn.GRU, nn.GRUCell)
SHAPES = [(1, 24, 40), (10, 256, 33), (80, 7, 5)]
ERRORS = {"qint8": 0.02, "float16": 1e-3}


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm() / expected.norm()).detach())


@pytest.mark.parametrize("dtype", PRODUCTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
def test_linear_layers_are_nearly_the_same(
    dtype: str, bias: bool, rows: int, inputs: int, outputs: int
) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(inputs, outputs, bias=bias)
    small = QuantizedLinear(layer, PRODUCTS[dtype])
    xs = torch.randn(2, rows, inputs) * torch.logspace(-3, 3, rows)[:, None]
    for x, found in zip(xs.flatten(0, 1), small(xs).flatten(0, 1), strict=True):
        assert relative_error(found, layer(x)) < 1.5 * ERRORS[dtype]
        torch.testing.assert_close(small(x[None])[0], found, rtol=1e-4, atol=1e-4)
    assert relative_error(small.weight, layer.weight) < ERRORS[dtype]


def test_weights_take_a_byte_each() -> None:
    product = Int8Product(torch.randn(40, 24), None)
    assert product.weight.dtype == torch.int8
    assert int(product.weight.abs().max()) == 127


def test_what_is_empty_or_zero() -> None:
    layer = QuantizedLinear(nn.Linear(4, 3), Int8Product)
    torch.testing.assert_close(layer(torch.zeros(2, 4))[1], layer.bias)
    weight = torch.zeros(3, 4)
    assert Int8Product(weight, None)(torch.randn(2, 4)).eq(0).all()
    assert layer(torch.zeros(0, 4)).shape == (0, 3)


def test_without_onednn_the_numbers_are_the_same() -> None:
    torch.manual_seed(0)
    product = Int8Product(torch.randn(32, 64), torch.randn(32))
    xs = torch.randn(20, 64)
    expected = product(xs)
    product.blocks = None
    torch.testing.assert_close(product(xs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", PRODUCTS)
def test_cells_are_nearly_the_same(dtype: str) -> None:
    torch.manual_seed(0)
    cell = nn.LSTMCell(5, 7)
    small = QuantizedLSTMCell(cell, PRODUCTS[dtype])
    xs, state = torch.randn(4, 5), (torch.randn(4, 7), torch.randn(4, 7))
    for found, expected in zip(small(xs, state), cell(xs, state), strict=True):
        assert relative_error(found, expected) < ERRORS[dtype]
    assert relative_error(small.weight_ih, cell.weight_ih) < ERRORS[dtype]
    assert relative_error(small.weight_hh, cell.weight_hh) < ERRORS[dtype]


@pytest.mark.parametrize("dtype", PRODUCTS)
def test_gru_cells_are_nearly_the_same(dtype: str) -> None:
    torch.manual_seed(0)
    cell = nn.GRUCell(5, 7)
    small = QuantizedGRUCell(cell, PRODUCTS[dtype])
    xs, state = torch.randn(4, 5), torch.randn(4, 7)
    assert relative_error(small(xs, state), cell(xs, state)) < ERRORS[dtype]
    assert relative_error(small.weight_ih, cell.weight_ih) < ERRORS[dtype]
    assert relative_error(small.weight_hh, cell.weight_hh) < ERRORS[dtype]


@pytest.mark.parametrize("dtype", PRODUCTS)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_are_nearly_the_same(
    kind: type[nn.LSTM] | type[nn.GRU], bidirectional: bool, dtype: str
) -> None:
    """In one call, in two with the state carried, and in padded batches."""
    torch.manual_seed(0)
    layers = kind(5, 7, 2, batch_first=True, bidirectional=bidirectional).eval()
    small = QuantizedLayers(layers, PRODUCTS[dtype])
    xs = torch.randn(3, 9, 5)
    ys, state = layers(xs)
    assert relative_error(small(xs)[0], ys) < ERRORS[dtype]
    again = small(xs, small(xs)[1])[0]
    assert relative_error(again, layers(xs, state)[0]) < ERRORS[dtype]
    lengths = torch.tensor([9, 4, 6])
    expected = run_rnn(layers, xs, lengths)[1, :4]
    found = run_rnn(cast(nn.LSTM, small), xs, lengths)[1, :4]
    assert relative_error(found, expected) < ERRORS[dtype]
    kept = [p.weight.dtype for p in small.products.values()]
    assert set(kept) == {torch.int8 if dtype == "qint8" else torch.float16}


def recognized(model: ASRInterface, xs: list[Tensor]) -> list[list[dict[str, Any]]]:
    weight = 0.3 if "ctc" in model.scorers() else 0.0
    options = SearchOptions(beam_size=3, nbest=3, maxlenratio=0.5, ctc_weight=weight)
    return model.recognize_batch(xs, options)


@pytest.mark.parametrize("name", MODELS)
def test_every_recogniser(name: str) -> None:
    """Nothing of what was replaced is left, and a search gives nearly the same."""
    model = build(name).eval()
    padded, lengths, _ = batch()
    xs = [x[:length] for x, length in zip(padded, lengths, strict=True)]
    before = recognized(model, xs)
    layers = [m for m in model.modules() if isinstance(m, KINDS)]
    assert quantize(model, ALL, "qint8") == len(layers) > 0
    assert not any(isinstance(m, KINDS) for m in model.modules())
    together = recognized(model, xs)
    for x, nbest, float_nbest in zip(xs, together, before, strict=True):
        assert nbest[0]["score"] == pytest.approx(float_nbest[0]["score"], rel=0.05)
        (alone,) = recognized(model, [x])
        assert [h["yseq"] for h in alone] == [h["yseq"] for h in nbest]
        assert [h["score"] for h in alone] == pytest.approx(
            [h["score"] for h in nbest], rel=1e-4
        )


@pytest.mark.parametrize("name", LM_MODELS)
def test_every_language_model(name: str) -> None:
    model = build_lm(name)
    scorer = model.scorer()
    assert isinstance(scorer, BatchScorer)
    tokens = torch.tensor([3, 4, 5, 3])
    rows = torch.arange(4)

    def scores() -> Tensor:
        assert isinstance(scorer, BatchScorer)
        ready = scorer.prepared()
        state = ready.start(torch.zeros(2, 1, 0), torch.ones(2), 2)
        first, state = ready.score(torch.full((4,), 6), state)
        second, _ = ready.score(tokens, ready.select(state, rows, tokens))
        return torch.cat([first, second])

    expected = scores()
    assert isinstance(model, nn.Module)
    assert quantize(model, ALL, "qint8") > 0
    assert relative_error(scores().exp(), expected.exp()) < 0.05
