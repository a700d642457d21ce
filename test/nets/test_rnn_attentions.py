"""The attentions of the RNN decoder against their formulas, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from espnet.nets.pytorch_backend.nets_utils import make_pad_mask
from espnet.nets.pytorch_backend.rnn.attentions import ATTENTIONS, base
from espnet.nets.pytorch_backend.rnn.attentions.base import Attention, AttentionSizes
from espnet.nets.pytorch_backend.rnn.options import ATTENTION_TYPES, CONVOLVING_TYPES

SIZES = AttentionSizes(
    encoder=5, decoder=4, attention=6, heads=2, window=3, channels=3, half_width=2
)
LENGTHS = (7, 4, 1)
STEPS = 4


def build(atype: str) -> Attention:
    torch.manual_seed(1)
    return ATTENTIONS[atype](SIZES).double()


def softmax(energy: np.ndarray) -> np.ndarray:
    weights = np.exp(energy - energy.max())
    return weights / weights.sum()


def sigmoid(xs: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-xs))


def convolve(rows: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """rows (W, T), kernel (C, 1, W, 2F + 1) -> (T, C), one product at a time."""
    channels, _, height, width = kernel.shape
    frames = rows.shape[1]
    out = np.zeros((frames, channels))
    for t in range(frames):
        for k in range(width):
            source = t + k - width // 2
            if 0 <= source < frames:
                for row in range(height):
                    out[t] += kernel[:, 0, row, k] * rows[row, source]
    return out


class Formulas:
    """One utterance, one head and one label at a time."""

    def __init__(self, attention: Attention, hs: np.ndarray) -> None:
        self.p = {k: v.detach().numpy() for k, v in attention.named_parameters()}
        self.hs = hs
        self.frames = len(hs)
        self.uniform = np.full(self.frames, 1.0 / self.frames)

    def linear(self, name: str, xs: np.ndarray) -> np.ndarray:
        return xs @ self.p[f"{name}.weight"].T + self.p.get(f"{name}.bias", 0.0)

    def additive(self, query: np.ndarray, extra: np.ndarray) -> np.ndarray:
        hidden = self.linear("mlp_enc", self.hs) + self.linear("mlp_dec", query)
        energy = self.linear("gvec", np.tanh(hidden + extra))[:, 0]
        return softmax(2.0 * energy)

    def noatt(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        for _ in queries:
            yield self.uniform

    def dot(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        for query in queries:
            keys = np.tanh(self.linear("mlp_enc", self.hs))
            yield softmax(2.0 * keys @ np.tanh(self.linear("mlp_dec", query)))

    def add(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        for query in queries:
            yield self.additive(query, np.zeros(1))

    def location(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        weights = self.uniform
        for query in queries:
            located = convolve(weights[None], self.p["loc_conv.weight"])
            weights = self.additive(query, self.linear("mlp_att", located))
            yield weights

    def location2d(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        past = [self.uniform] * SIZES.window
        for query in queries:
            rows = np.stack(past[-SIZES.window :])
            located = convolve(rows, self.p["loc_conv.weight"])
            past.append(self.additive(query, self.linear("mlp_att", located)))
            yield past[-1]

    def location_recurrent(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        weights = self.uniform
        hidden = cell = np.zeros(SIZES.attention)
        for query in queries:
            located = convolve(weights[None], self.p["loc_conv.weight"])
            located = np.maximum(located, 0.0).max(0)
            gates = self.p["att_lstm.weight_ih"] @ located
            gates = gates + self.p["att_lstm.weight_hh"] @ hidden
            i, f, g, o = np.split(gates, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            weights = self.additive(query, hidden)
            yield weights

    def coverage(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        past = [self.uniform]
        for query in queries:
            covered = np.sum(past, 0)[:, None]
            past.append(self.additive(query, self.linear("wvec", covered)))
            yield past[-1]

    def coverage_location(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        past = [self.uniform]
        for query in queries:
            located = convolve(np.sum(past, 0)[None], self.p["loc_conv.weight"])
            past.append(self.additive(query, self.linear("mlp_att", located)))
            yield past[-1]

    def heads(
        self, queries: np.ndarray, kind: str, scale: float
    ) -> Iterator[np.ndarray]:
        weights = [self.uniform] * SIZES.heads
        for query in queries:
            new = []
            for n in range(SIZES.heads):
                key = self.linear(f"mlp_k.{n}", self.hs)
                asked = self.linear(f"mlp_q.{n}", query)
                if kind == "dot":
                    energy = np.tanh(key) @ np.tanh(asked)
                else:
                    extra = np.zeros(1)
                    if kind == "loc":
                        kernel = self.p[f"loc_conv.{n}.weight"]
                        located = convolve(weights[n][None], kernel)
                        extra = self.linear(f"mlp_att.{n}", located)
                    hidden = np.tanh(key + asked + extra)
                    energy = self.linear(f"gvec.{n}", hidden)[:, 0]
                new.append(softmax(scale * energy))
            weights = new
            yield np.stack(weights)

    def multi_head_dot(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        return self.heads(queries, "dot", SIZES.attention**-0.5)

    def multi_head_add(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        return self.heads(queries, "add", SIZES.attention**-0.5)

    def multi_head_loc(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        return self.heads(queries, "loc", 2.0)

    def multi_head_multi_res_loc(self, queries: np.ndarray) -> Iterator[np.ndarray]:
        return self.heads(queries, "loc", SIZES.attention**-0.5)

    def context(self, weights: np.ndarray) -> np.ndarray:
        if weights.ndim == 1:
            return weights @ self.hs
        heads = [w @ self.linear(f"mlp_v.{n}", self.hs) for n, w in enumerate(weights)]
        return self.linear("mlp_o", np.concatenate(heads))


def test_the_table_holds_the_choices_of_the_option() -> None:
    assert tuple(ATTENTIONS) == ATTENTION_TYPES
    convolving = {
        atype
        for atype in ATTENTIONS
        if any("loc_conv" in name for name, _ in build(atype).named_parameters())
    }
    assert convolving == set(CONVOLVING_TYPES)


@pytest.mark.parametrize("atype", ATTENTION_TYPES)
def test_steps_equal_the_formulas_for_each_hypothesis_of_a_padded_batch(
    atype: str,
) -> None:
    attention = build(atype)
    beam, rng = 2, np.random.default_rng(0)
    hs = rng.normal(size=(len(LENGTHS), max(LENGTHS), SIZES.encoder))
    queries = rng.normal(size=(STEPS, len(LENGTHS), beam, SIZES.decoder))
    padding = make_pad_mask(torch.tensor(LENGTHS))

    memory = attention.start(torch.tensor(hs), padding)
    state = attention.initial(memory, beam)
    found = []
    for query in queries:
        context, weights, state = attention(memory, torch.tensor(query), state)
        found.append((context.detach().numpy(), weights.detach().numpy()))

    for b, length in enumerate(LENGTHS):
        formulas = Formulas(attention, hs[b, :length])
        for k in range(beam):
            expected = getattr(formulas, atype)(queries[:, b, k])
            for (context, weights), wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(
                    weights[b, k][..., :length], wanted, rtol=1e-9, atol=1e-12
                )
                assert not weights[b, k][..., length:].any()
                np.testing.assert_allclose(
                    context[b, k], formulas.context(wanted), rtol=1e-9, atol=1e-12
                )


@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
@pytest.mark.parametrize("atype", ATTENTION_TYPES)
def test_pieces_of_a_search_are_the_whole(
    atype: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hypothesis at a time, those of an utterance and some, or all at once."""
    monkeypatch.setattr(base, "PIECE", piece)
    attention = build(atype)
    hs = torch.randn(3, 7, SIZES.encoder, dtype=torch.double)
    query = torch.randn(3, 5, SIZES.decoder, dtype=torch.double)
    padding = make_pad_mask(torch.tensor(LENGTHS))
    memory = attention.start(hs, padding)
    expected = attention(memory, query, attention.initial(memory, 5))
    with torch.no_grad():
        found = attention(memory, query, attention.initial(memory, 5))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("atype", ATTENTION_TYPES)
def test_states_can_be_selected_by_hypothesis(atype: str) -> None:
    attention = build(atype)
    hs = torch.randn(2, 5, SIZES.encoder, dtype=torch.double)
    memory = attention.start(hs, make_pad_mask(torch.tensor([5, 3])))
    state = attention.initial(memory, 3)
    for _ in range(2):
        assert all(part.shape[:2] == (2, 3) for part in state)
        query = torch.randn(2, 3, SIZES.decoder, dtype=torch.double)
        _, _, state = attention(memory, query, state)


def test_multi_resolution_heads_have_wider_and_wider_kernels() -> None:
    sizes = AttentionSizes(5, 4, 6, heads=4, channels=3, half_width=10)
    attention = ATTENTIONS["multi_head_multi_res_loc"](sizes)
    parameters = dict(attention.named_parameters())
    widths = [parameters[f"loc_conv.{n}.weight"].shape[-1] for n in range(4)]
    assert widths == [2 * (10 * (n + 1) // 4) + 1 for n in range(4)]
