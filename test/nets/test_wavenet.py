"""WaveNet: equal to its equations, and step by step as all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from espnet.nets.pytorch_backend.wavenet import Steps, WaveNet, decode_mu_law

LEVELS, AUX, SHIFT = 8, 3, 4
SIZES = {"n_quantize": LEVELS, "n_aux": AUX, "n_resch": 5, "n_skipch": 6}
NETWORKS = (
    {"dilation_depth": 3, "dilation_repeat": 2, "kernel_size": 2},
    {"dilation_depth": 2, "dilation_repeat": 1, "kernel_size": 3},
    {"dilation_depth": 1, "dilation_repeat": 2, "kernel_size": 1},
    {"dilation_depth": 2, "dilation_repeat": 2, "upsampling_factor": SHIFT},
)


def network(**sizes: int) -> WaveNet:
    torch.manual_seed(1)
    return WaveNet(**SIZES, **sizes).double().eval()


def history(model: WaveNet) -> int:
    """Samples before the current one that the model can see."""
    return (model.kernel_size - 1) * (1 + sum(model.dilations))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def plain(model: WaveNet, xs: np.ndarray, hs: np.ndarray) -> np.ndarray:
    """Scores (T, Q) by the equations of the paper, a sample and a tap at a time."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}

    def convolved(name: str, x: np.ndarray, dilation: int = 1) -> np.ndarray:
        weight, y = state[f"{name}.weight"], np.tile(state[f"{name}.bias"], (len(x), 1))
        for t in range(len(x)):
            for back in range(weight.shape[2]):
                if t - back * dilation >= 0:
                    y[t] += weight[:, :, -1 - back] @ x[t - back * dilation]
        return y

    x, skips = convolved("causal.conv", np.eye(LEVELS)[xs]), 0
    for i, dilation in enumerate(model.dilations):
        gate = convolved(f"dil_sigmoid.{i}.conv", x, dilation)
        value = convolved(f"dil_tanh.{i}.conv", x, dilation)
        gate = gate + convolved(f"aux_1x1_sigmoid.{i}", hs)
        value = value + convolved(f"aux_1x1_tanh.{i}", hs)
        z = sigmoid(gate) * np.tanh(value)
        skips = skips + convolved(f"skip_1x1.{i}", z)
        x = x + convolved(f"res_1x1.{i}", z)
    last = convolved("conv_post_1", np.maximum(skips, 0))
    return convolved("conv_post_2", np.maximum(last, 0))


@pytest.mark.parametrize("sizes", NETWORKS)
def test_equations(sizes: dict[str, int]) -> None:
    model = network(**sizes)
    xs, hs = torch.randint(LEVELS, (2, 20)), torch.randn(2, AUX, 20).double()
    with torch.no_grad():
        scores = model(xs, hs).numpy()
    for x, h, score in zip(xs, hs, scores, strict=True):
        np.testing.assert_allclose(score, plain(model, x.numpy(), h.T.numpy()))


@pytest.mark.parametrize("sizes", NETWORKS)
@torch.no_grad()
def test_steps_after_silence(sizes: dict[str, int]) -> None:
    model = network(**sizes)
    xs, hs = torch.randint(LEVELS, (2, 30)), torch.randn(2, AUX, 30).double()
    before = history(model) + 1
    silence = torch.full((2, before), LEVELS // 2)
    wanted = model(
        torch.cat([silence, xs], 1),
        torch.cat([hs[:, :, :1].expand(-1, -1, before), hs], 2),
    )[:, before:]
    steps = Steps(model, hs[:, :, 0])
    for t in range(30):
        torch.testing.assert_close(steps(xs[:, t], hs[:, :, t]), wanted[:, t])


@pytest.mark.parametrize("sizes", NETWORKS)
@torch.no_grad()
def test_generated_levels_are_what_the_network_makes_certain(
    sizes: dict[str, int],
) -> None:
    model = network(**sizes)
    model.conv_post_2.weight *= 1e6  # draws are choices of the best
    hs = torch.randn(2, AUX, 5).double()
    levels = model.generate(hs, SHIFT)
    assert levels.shape == (2, 5 * SHIFT)
    frames = hs.repeat_interleave(SHIFT, 2)
    if model.upsampling_factor:
        weight, bias = model.upsampling.conv.weight, model.upsampling.conv.bias
        frames = hs.repeat_interleave(SHIFT, 2) * weight.flatten().repeat(5) + bias
    before = history(model) + 2
    silence = torch.full((2, before), LEVELS // 2)
    heard = torch.cat([silence, levels[:, :-1]], 1)
    frames = torch.cat([frames[:, :, :1].expand(-1, -1, before - 1), frames], 2)
    best = model(heard, frames)[:, before - 1 :].argmax(-1)
    torch.testing.assert_close(levels, best)


@pytest.mark.parametrize("levels", [256, 1024])
def test_mu_law(levels: int) -> None:
    mu = levels - 1
    encoded = np.arange(levels)
    samples = decode_mu_law(torch.from_numpy(encoded).double(), levels).numpy()
    curve = np.sign(samples) * np.log1p(mu * np.abs(samples)) / np.log1p(mu)
    np.testing.assert_allclose((curve + 1) / 2 * mu + 0.5, encoded, atol=1e-9)
    assert abs(samples[levels // 2]) < 1e-9
