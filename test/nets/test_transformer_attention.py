"""Attention and what replaces it, against loops that spell the formulas out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from espnet.nets.pytorch_backend.conformer.attention import (
    RelativeAttention,
    legacy_shift,
    shift,
)
from espnet.nets.pytorch_backend.transformer.attention import (
    MultiHeadedAttention,
    attend,
)
from espnet.nets.pytorch_backend.transformer.branches import Branches
from espnet.nets.pytorch_backend.transformer.convolutions import (
    DynamicConvolution,
    LightConvolution,
)
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.mixers import MIXERS, MixerSizes
from espnet.nets.pytorch_backend.transformer.options import MIXERS as MIXER_NAMES
from espnet.nets.pytorch_backend.transformer.positions import (
    LegacyPositions,
    RelativePositions,
    sinusoids,
)
from espnet.nets.pytorch_backend.transformer.recording import recording

SIZE, HEADS, LENGTHS = 8, 2, (7, 4, 1)


def sequences(lengths: tuple[int, ...] = LENGTHS) -> tuple[Tensor, Frames]:
    draw = torch.Generator().manual_seed(3)
    xs = torch.randn(len(lengths), max(lengths), SIZE, generator=draw)
    return xs, Frames.of(xs, torch.tensor(lengths))


def heads_of(xs: Tensor) -> Tensor:
    """(T, D) -> (H, T, D / H)."""
    return torch.stack(xs.chunk(HEADS, -1))


def test_attention_is_the_softmax_of_scaled_products() -> None:
    torch.manual_seed(0)
    attention = MultiHeadedAttention(HEADS, SIZE)
    xs, frames = sequences()
    memory, described = sequences((5, 6, 2))
    for found, seen, about in (
        (attention(xs, frames), xs, frames),
        (attention(xs, described, memory), memory, described),
    ):
        for b, length in enumerate(about.lengths.tolist()):
            q, k, v = (
                heads_of(linear(part))
                for linear, part in (
                    (attention.linear_q, xs[b]),
                    (attention.linear_k, seen[b, :length]),
                    (attention.linear_v, seen[b, :length]),
                )
            )
            weights = (q @ k.transpose(1, 2) / math.sqrt(SIZE / HEADS)).softmax(-1)
            expected = attention.linear_out(torch.cat([*(weights @ v)], -1))
            torch.testing.assert_close(found[b], expected)


def positions(kind: type[RelativePositions] | type[LegacyPositions]) -> Tensor:
    table = kind(SIZE)(torch.zeros(1, max(LENGTHS), SIZE))[1]
    assert table is not None
    return table


@pytest.mark.parametrize("zero_triu", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_relative_attention(legacy: bool, zero_triu: bool) -> None:
    """Its position scores, alone and padded, from one vector for each distance."""
    torch.manual_seed(0)
    attention = RelativeAttention(HEADS, SIZE, zero_triu=zero_triu, legacy=legacy)
    xs, frames = sequences()
    table = positions(LegacyPositions if legacy else RelativePositions)
    found = attention(xs, Frames(frames.lengths, frames.valid, table))

    def place(i: int, j: int, length: int) -> tuple[int, int | None]:
        """The query and the position that score key j for query i."""
        if not legacy:
            return i, i - j
        if j <= i:
            return i, 4999 - (length - 1 - i + j)
        return (i, None) if j == i + 1 else (i + 1, 4999 - (j - i - 2))

    for b, length in enumerate(LENGTHS):
        x = xs[b, :length]
        q, k, v = (
            heads_of(linear(x))
            for linear in (attention.linear_q, attention.linear_k, attention.linear_v)
        )
        scores = (q + attention.pos_bias_u[:, None]) @ k.transpose(1, 2)
        for i in range(length):
            for j in range(length):
                row, position = place(i, j, length)
                if position is None or (zero_triu and j > i):
                    continue
                sines = sinusoids(torch.tensor([position]), SIZE)
                p = heads_of(attention.linear_pos(sines))[:, 0]
                by_position = ((q[:, row] + attention.pos_bias_v) * p).sum(-1)
                scores[:, i, j] = scores[:, i, j] + by_position
        weights = (scores / math.sqrt(SIZE / HEADS)).softmax(-1)
        expected = attention.linear_out(torch.cat([*(weights @ v)], -1))
        torch.testing.assert_close(found[b, :length], expected, rtol=1e-4, atol=1e-5)


def test_shifts_of_a_single_frame() -> None:
    scores = torch.ones(2, 1, 1, 1)
    assert shift(scores).shape == (2, 1, 1, 1)
    assert (
        legacy_shift(scores, Frames(torch.tensor([1, 1]))).tolist() == scores.tolist()
    )


@pytest.mark.parametrize("kind", ["self", "causal", "relative", "legacy"])
def test_recorded_weights_change_nothing(kind: str) -> None:
    torch.manual_seed(0)
    xs, frames = sequences((7, 7) if kind == "causal" else LENGTHS)
    model: torch.nn.Module
    if kind in ("self", "causal"):
        model = MultiHeadedAttention(HEADS, SIZE, causal=kind == "causal")
    else:
        legacy = kind == "legacy"
        model = RelativeAttention(HEADS, SIZE, legacy=legacy)
        table = positions(LegacyPositions if legacy else RelativePositions)
        frames = Frames(frames.lengths, frames.valid, table)
    stack = torch.nn.ModuleDict({"a": model})
    with recording(stack) as weights:
        openly = model(xs, frames)
    torch.testing.assert_close(model(xs, frames), openly)
    assert set(weights) == {"a"}
    assert weights["a"].shape == (len(xs), HEADS, 7, 7)
    torch.testing.assert_close(weights["a"].sum(-1), torch.ones(len(xs), HEADS, 7))
    if kind == "causal":
        assert not weights["a"].triu(1).any()


def light(module: LightConvolution, x: Tensor, causal: bool) -> Tensor:
    """A light convolution of one sequence (T, C), frame by frame."""
    x = F.glu(module.linear1(x), -1)
    count, middle = len(module.weight), module.weight.shape[2] // 2
    y = torch.zeros_like(x)
    for t in range(len(x)):
        for c in range(SIZE):
            kernel = module.weight[c % count, 0]
            kernel = (kernel[: middle + 1] if causal else kernel).softmax(-1)
            for j, weight in enumerate(kernel):
                if 0 <= t + j - middle < len(x):
                    y[t, c] += weight * x[t + j - middle, c]
    if module.bias is not None:
        y = y + module.bias
    if module.weight_f is not None:
        kernels = module.weight_f[0, 0].softmax(-1).expand(len(x), -1)
        y = torch.cat([y, along_features(x, kernels)], -1)
    return module.linear2(y)


def dynamic(module: DynamicConvolution, x: Tensor, causal: bool) -> Tensor:
    """A dynamic convolution of one sequence (T, C), frame by frame."""
    x = F.glu(module.linear1(x), -1)
    taps = module.linear_weight(x).unflatten(-1, (module.heads, -1))
    middle = taps.shape[-1] // 2
    y = torch.zeros_like(x)
    for t in range(len(x)):
        last = t if causal else len(x) - 1
        seen = [s for s in range(len(x)) if abs(s - t) <= middle and s <= last]
        for c in range(SIZE):
            kernel = taps[t, c // (SIZE // module.heads)]
            weights = kernel[[s - t + middle for s in seen]].softmax(-1)
            y[t, c] = (weights * x[seen, c]).sum()
    if module.bias is not None:
        y = y + module.bias
    if module.linear_weight_f is not None:
        y = torch.cat([y, along_features(x, module.linear_weight_f(x))], -1)
    return module.linear2(y)


def along_features(x: Tensor, kernels: Tensor) -> Tensor:
    """x (T, C) with kernels (T, k) for its frames."""
    middle = kernels.shape[1] // 2
    y = torch.zeros_like(x)
    for c in range(SIZE):
        for j in range(kernels.shape[1]):
            if 0 <= c + j - middle < SIZE:
                y[:, c] += kernels[:, j] * x[:, c + j - middle]
    return y


PLAIN: dict[str, Callable] = {
    "lightconv": light,
    "lightconv2d": light,
    "dynamicconv": dynamic,
    "dynamicconv2d": dynamic,
}


@pytest.mark.parametrize("kernel", [1, 5, 17])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_convolutions(name: str, causal: bool, kernel: int) -> None:
    """Each utterance of a padded batch is convolved as if alone."""
    torch.manual_seed(0)
    sizes = MixerSizes(
        SIZE, HEADS, wshare=4, kernel=kernel, use_bias=causal, causal=causal
    )
    module = MIXERS[name](sizes)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    xs, frames = sequences()
    with torch.no_grad():
        found = module(xs, frames)
        assert found.isfinite().all()
        for b, length in enumerate(LENGTHS):
            expected = PLAIN[name](module, xs[b, :length], causal)
            torch.testing.assert_close(
                found[b, :length], expected, rtol=1e-4, atol=1e-4
            )


def test_weights_of_dynamic_convolutions_are_recorded() -> None:
    sizes = MixerSizes(SIZE, HEADS, wshare=4, kernel=3)
    stack = torch.nn.ModuleDict(
        {name: MIXERS[name](sizes) for name in ("dynamicconv", "dynamicconv2d")}
    )
    xs, frames = sequences()
    with recording(stack) as weights:
        for module in stack.values():
            module(xs, frames)
    assert {name: tuple(w.shape) for name, w in weights.items()} == {
        "dynamicconv": (3, 4, 7, 7),
        "dynamicconv2d_time": (3, 4, 7, 7),
        "dynamicconv2d_freq": (3, 1, 7, 3),
    }


@pytest.mark.parametrize("name", MIXERS)
def test_branches_equal_whole_sequences(name: str) -> None:
    """40 labels: slots are cleared twice on the way, and an utterance ends."""
    torch.manual_seed(0)
    beam = 3
    sizes = MixerSizes(SIZE, HEADS, wshare=2, kernel=5, causal=True)
    module = MIXERS[name](sizes).eval()
    cache = module.start(torch.empty(2), beam)
    branches = Branches.none(2, beam, cache.device)
    read = torch.empty(2 * beam, 0, SIZE)
    with torch.no_grad():
        for t in range(40):
            read = torch.cat([read, torch.randn(len(read), 1, SIZE)], 1)
            branches = branches.grown()
            found, cache = module.extend(read[:, -1], cache, branches)
            lengths = torch.full((len(read),), t + 1)
            expected = module(read, Frames(lengths))[:, -1]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            rows = torch.arange(0, len(read), beam).repeat_interleave(beam)
            rows += torch.randint(0, beam, rows.shape)
            if t == 25:
                rows = rows[beam:]
            read = read[rows]
            branches, choice = branches.select(rows)
            cache = module.follow(cache, choice, beam)
    assert branches.seen.shape[2] < 40 * beam


@pytest.mark.parametrize("masked", [False, True])
def test_few_queries_find_what_those_of_torch_find(masked: bool) -> None:
    torch.manual_seed(0)
    queries, (keys, values) = torch.randn(2, 4, 3, 5), torch.randn(2, 2, 4, 7, 5)
    hidden = torch.rand(2, 1, 3, 7) > 0.6
    mask = torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf) if masked else None
    expected = torch.nn.functional.scaled_dot_product_attention(
        queries, keys, values, mask
    )
    torch.testing.assert_close(attend(queries, keys, values, mask), expected)


def test_steps_equal_the_whole_sequence() -> None:
    """40 steps: more than a cache first holds; rows change places on the way."""
    torch.manual_seed(0)
    module = MultiHeadedAttention(HEADS, SIZE, causal=True).eval()
    xs, frames = sequences((40, 40, 40))
    with torch.no_grad():
        expected = module(xs, frames)
        cache = module.start(xs)
        for t in range(40):
            found, cache = module.step(xs[:, t], cache, t)
            torch.testing.assert_close(found, expected[:, t], rtol=1e-4, atol=1e-5)
            order = torch.tensor([2, 0, 1])
            cache, xs, expected = cache[order], xs[order], expected[order]


def test_options_name_the_mixers_there_are() -> None:
    assert set(MIXERS) == set(MIXER_NAMES)
