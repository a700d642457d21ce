"""Input layers, positions and blocks of Transformer and Conformer encoders."""

from __future__ import annotations

import math

import pytest
import torch
from asr_models import build
from torch import Tensor

from espnet.nets.pytorch_backend.conformer.convolution import ConvolutionModule
from espnet.nets.pytorch_backend.transformer.feed_forward import ACTIVATIONS
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.initialisation import INITIALISATIONS
from espnet.nets.pytorch_backend.transformer.input_layers import (
    INPUT_LAYERS,
    InputSizes,
)
from espnet.nets.pytorch_backend.transformer.layers import stochastic_depth
from espnet.nets.pytorch_backend.transformer.options import INITIALISATIONS as NAMES
from espnet.nets.pytorch_backend.transformer.options import INPUT_LAYERS as FACTORS
from espnet.nets.pytorch_backend.transformer.positions import (
    POSITIONS,
    Positions,
    RelativePositions,
    sinusoids,
)
from espnet.utils.errors import UserError

IDIM, SIZE = 20, 8
LEAST = {"conv2d": 7, "conv2d6": 11, "conv2d8": 15, "vgg2l": 6, "linear": 1, "embed": 1}


def features(*lengths: int) -> tuple[Tensor, Tensor]:
    """Padded with what must not matter."""
    draw = torch.Generator().manual_seed(3)
    xs = torch.randn(len(lengths), max(lengths), IDIM, generator=draw)
    return xs, torch.tensor(lengths)


@pytest.mark.parametrize("name", INPUT_LAYERS)
def test_input_layers_treat_each_utterance_as_if_alone(name: str) -> None:
    torch.manual_seed(0)
    layer = INPUT_LAYERS[name](InputSizes(IDIM, SIZE, RelativePositions(SIZE)))
    lengths = range(LEAST[name], LEAST[name] + 27)
    xs, ilens = features(*lengths)
    if name == "embed":
        xs = (xs[..., 0].abs() * 7).clamp(max=IDIM - 1).floor()
    with torch.no_grad():
        together, positions, outlens = layer(xs, ilens)
        assert positions is not None
        for b, length in enumerate(lengths):
            alone, _, outlen = layer(xs[b : b + 1, :length], ilens[b : b + 1])
            assert alone.shape == (1, int(outlen), SIZE)
            assert int(outlen) == int(outlens[b]) == length // FACTORS[name] or (
                name.startswith("conv") and 0 < int(outlen) < length / FACTORS[name]
            )
            torch.testing.assert_close(
                together[b, : outlens[b]], alone[0], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("name", ["conv2d", "conv2d6", "conv2d8", "vgg2l"])
def test_too_short_an_utterance_is_refused(name: str) -> None:
    model = build("transformer-conv2d", transformer_input_layer="linear")
    model.encoder.embed = INPUT_LAYERS[name](InputSizes(IDIM, SIZE, Positions(SIZE)))
    model.idim = IDIM
    enough = LEAST[name]
    assert len(model.encode(torch.zeros(enough, IDIM))) == 1
    with pytest.raises(
        UserError,
        match=f"utterance 2 of 2 in the batch has {enough - 1} frames, too few",
    ):
        model.encode_batch(*features(enough, enough - 1))


@pytest.mark.parametrize("name", ["conv2d", "conv2d6", "conv2d8", "vgg2l"])
def test_too_few_features_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="the features have 3 dimensions, too few"):
        INPUT_LAYERS[name](InputSizes(3, SIZE, Positions(SIZE)))


def test_linear_layers_have_a_relu_in_transformers_only() -> None:
    xs, ilens = features(3)
    plain, rectified = (
        INPUT_LAYERS["linear"](
            InputSizes(IDIM, SIZE, RelativePositions(SIZE), rectified=flag)
        )
        for flag in (False, True)
    )
    assert (plain(xs, ilens)[0] < 0).any()
    assert (rectified(xs, ilens)[0] >= 0).all()


def sinusoid(position: float, size: int) -> list[float]:
    angles = [position * 10000 ** (-2 * k / size) for k in range(size // 2)]
    return [f(angle) for angle in angles for f in (math.sin, math.cos)]


def test_sinusoids() -> None:
    positions = [0, 1, -3, 300]
    expected = torch.tensor([sinusoid(p, SIZE) for p in positions])
    torch.testing.assert_close(
        sinusoids(torch.tensor(positions), SIZE), expected, rtol=1e-4, atol=1e-4
    )


def test_absolute_positions_from_any_start_on() -> None:
    module = Positions(SIZE)
    xs, _ = features(40)
    xs = xs[..., :SIZE]
    whole = module(xs)[0]
    expected = torch.tensor([sinusoid(t, SIZE) for t in range(40)])
    torch.testing.assert_close(
        whole[0], xs[0] * math.sqrt(SIZE) + expected, rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(module(xs[:, 30:], 30)[0], whole[:, 30:])
    long = module(torch.zeros(1, 1000, SIZE))[0]  # the table grows
    torch.testing.assert_close(long[0, :40], expected, rtol=1e-4, atol=1e-4)


def test_scaled_positions() -> None:
    module = POSITIONS["scaled_abs_pos"](SIZE)
    assert [tuple(p.shape) for p in module.parameters()] == [()]
    torch.nn.init.constant_(next(module.parameters()), 0.5)
    found = module(torch.ones(1, 3, SIZE))[0].detach()
    expected = 1 + 0.5 * torch.tensor([sinusoid(t, SIZE) for t in range(3)])
    torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("rel_pos", 3, 2, -2),
        ("rel_pos", 700, 699, -699),
        ("legacy_rel_pos", 3, 4999, 4997),
        ("legacy_rel_pos", 5000, 4999, 0),
        ("legacy_rel_pos", 5001, 5000, 0),
    ],
)
def test_tables_of_relative_positions(
    name: str, count: int, first: int, last: int
) -> None:
    xs = torch.ones(1, count, SIZE)
    scaled, table = POSITIONS[name](SIZE)(xs)
    assert table is not None
    torch.testing.assert_close(scaled, xs * math.sqrt(SIZE))
    assert len(table) == abs(first - last) + 1
    expected = torch.tensor([sinusoid(p, SIZE) for p in (first, last)])
    torch.testing.assert_close(table[[0, -1]], expected, rtol=1e-3, atol=1e-3)


def test_tables_follow_the_number_format() -> None:
    module = RelativePositions(SIZE)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        table = module(torch.ones(1, 3, SIZE, dtype=dtype))[1]
        assert table is not None and table.dtype == dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_convolution_module_counts_valid_frames_only(name: str) -> None:
    """In training: batch statistics and output are those of the utterances alone."""
    torch.manual_seed(0)
    lengths = torch.tensor([7, 4, 1])
    xs = torch.randn(3, 7, SIZE)
    module = ConvolutionModule(SIZE, 5, ACTIVATIONS[name])
    twin = ConvolutionModule(SIZE, 5, ACTIVATIONS[name])
    twin.load_state_dict(module.state_dict())
    found = module(xs, Frames.of(xs, lengths))

    def pointwise(part: torch.nn.Conv1d, x: Tensor) -> Tensor:
        return torch.nn.functional.conv1d(x.T[None], part.weight, part.bias)

    def convolved(x: Tensor) -> Tensor:
        gated = torch.nn.functional.glu(pointwise(twin.pointwise_conv1, x), 1)
        return twin.depthwise_conv(gated)[0].T

    frames = torch.cat([convolved(x[:n]) for x, n in zip(xs, lengths, strict=True)])
    normed = ACTIVATIONS[name](twin.norm(frames))
    expected = pointwise(twin.pointwise_conv2, normed)[0].T
    parts = [x[:n] for x, n in zip(found, lengths, strict=True)]
    torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dict(module.named_buffers()), dict(twin.named_buffers()))


def test_convolution_module_trains_on_a_single_frame() -> None:
    module = ConvolutionModule(SIZE, 3, ACTIVATIONS["swish"])
    xs = torch.randn(1, 1, SIZE)
    assert module(xs, Frames.of(xs, torch.tensor([1]))).isfinite().all()


def test_stochastic_depth() -> None:
    torch.manual_seed(0)
    assert stochastic_depth(0.7, training=False) == 1.0
    drawn = [stochastic_depth(0.25, training=True) for _ in range(400)]
    assert set(drawn) == {0.0, 4 / 3}
    assert 60 < drawn.count(0.0) < 140


@pytest.mark.parametrize("name", ["transformer-conv2d", "conformer-latest"])
def test_blocks_are_skipped_more_often_the_later_they_come(name: str) -> None:
    model = build(name, elayers=4, stochastic_depth_rate=0.4)
    rates = [layer.skip_rate for layer in model.encoder.encoders]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_skipped_block_passes_its_input_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("transformer-conv2d", "conformer-legacy"):
        layer = build(name).encoder.encoders[0]
        layer.skip_rate = 1.0
        xs = torch.randn(1, 3, 8)
        assert layer(xs, Frames.of(xs, torch.tensor([3]))) is xs


@pytest.mark.parametrize("name", ["transformer-conv2d", "conformer-latest"])
@pytest.mark.parametrize("scheme", NAMES)
def test_initial_weights(name: str, scheme: str) -> None:
    model = build(name, transformer_init=scheme, adim=64, aheads=4, eunits=128)
    weight = model.encoder.encoders[0].feed_forward.w_1.weight  # (128, 64)
    variance = {
        "pytorch": 1 / (3 * 64),
        "xavier_uniform": 2 / (64 + 128),
        "xavier_normal": 2 / (64 + 128),
        "kaiming_uniform": 2 / 64,
        "kaiming_normal": 2 / 64,
    }[scheme]
    assert weight.var().item() == pytest.approx(variance, rel=0.1)
    assert (weight.abs().max() < 2 * variance**0.5) == (not scheme.endswith("normal"))
    assert model.decoder.embed[0].weight.std().item() == pytest.approx(1.0, rel=0.2)
    for key, parameter in model.named_parameters():
        if "norm" in key:
            assert (parameter == float(key.endswith("weight"))).all(), key
        elif parameter.dim() == 1 and scheme != "pytorch":
            assert not parameter.any(), key


def test_options_name_what_there_is() -> None:
    assert set(INPUT_LAYERS) == set(FACTORS)
    assert set(INITIALISATIONS) == set(NAMES)
