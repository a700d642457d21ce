"""What is faster than torch's on a CPU gives the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from espnet.nets.pytorch_backend.nets_utils import convolve_frames, tanh, tanh_

CONVOLUTIONS = {
    "depthwise": (6, 6, {"kernel_size": 5, "padding": 2, "groups": 6}),
    "groups": (6, 4, {"kernel_size": 3, "groups": 2, "bias": False}),
    "strided": (5, 7, {"kernel_size": 3, "stride": 2, "dilation": 2}),
    "pointwise": (5, 7, {"kernel_size": 1}),
    "one channel": (1, 1, {"kernel_size": 3, "padding": 1}),
    "whole length": (6, 6, {"kernel_size": 9, "groups": 6}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolve_frames(name: str) -> None:
    torch.manual_seed(0)
    inputs, outputs, options = CONVOLUTIONS[name]
    convolution = nn.Conv1d(inputs, outputs, **options)
    xs = torch.randn(2, 9, inputs, requires_grad=True)
    found = convolve_frames(convolution, xs)
    expected = convolution(xs.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(found, expected)
    grad = torch.randn_like(found)
    leaves = [xs, *convolution.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves, grad),
        torch.autograd.grad(expected, leaves, grad),
    )


@pytest.mark.parametrize("size", [10, 50_000])
@pytest.mark.parametrize("dtype", [torch.float, torch.double, torch.bfloat16])
def test_tanh(size: int, dtype: torch.dtype) -> None:
    xs = torch.linspace(-20.0, 20.0, size).to(dtype)
    expected = xs.double().tanh()
    found = xs.clone()
    assert tanh_(found) is found
    bound = {torch.float: 2e-7, torch.double: 1e-15, torch.bfloat16: 4e-3}[dtype]
    assert (found.double() - expected).abs().max() < bound
    xs.requires_grad_()
    ys = tanh(xs)
    torch.testing.assert_close(ys.detach(), found, rtol=0, atol=0)
    (grad,) = torch.autograd.grad(ys.double().sum(), xs)
    assert (grad.double() - (1.0 - expected.square())).abs().max() < 4 * bound


def test_tanh_of_what_is_no_number() -> None:
    xs = torch.full((10_000,), torch.nan)
    xs[:2] = torch.tensor([torch.inf, -torch.inf])
    assert tanh_(xs)[:2].tolist() == [1.0, -1.0]
    assert xs[2:].isnan().all()
