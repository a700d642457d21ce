"""Layers made ready for a search."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from espnet.nets.pytorch_backend.linear import Pointwise
from espnet.nets.pytorch_backend.nets_utils import Dropout
from espnet.nets.pytorch_backend.packing import Joining, PackedLinear, packed, ready


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 10, 80])
def test_packed_layers_equal_linear_ones(bias: bool, rows: int) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(24, 40, bias=bias)
    xs = torch.randn(rows, 24)
    torch.testing.assert_close(packed(layer)(xs), layer(xs), rtol=1e-5, atol=1e-6)
    xs = torch.randn(2, rows, 24)
    torch.testing.assert_close(packed(layer)(xs), layer(xs), rtol=1e-5, atol=1e-6)


def test_convolutions_are_packed() -> None:
    torch.manual_seed(0)
    frames = Pointwise(6, 5)
    xs = torch.randn(2, 7, 6)
    expected = F.conv1d(xs.transpose(1, 2), frames.weight, frames.bias).transpose(1, 2)
    for layer in (frames, packed(frames)):
        torch.testing.assert_close(layer(xs), expected, rtol=1e-5, atol=1e-6)
    pictures = nn.Conv2d(3, 4, 3)
    xs = torch.randn(2, 3, 9, 8)
    twin = packed(pictures)
    assert twin.weight.is_contiguous(memory_format=torch.channels_last)
    assert pictures.weight.is_contiguous()
    torch.testing.assert_close(twin(xs), pictures(xs), rtol=1e-5, atol=1e-6)


class Pair(nn.Module, Joining):
    """Two layers that read the same."""

    together = ("a", "b")

    def __init__(self, kind: type[nn.Module] = nn.Linear) -> None:
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = kind(4, 3)


class OtherLinear(nn.Linear):
    """A layer that may do anything."""


def test_layers_that_read_the_same_are_joined() -> None:
    module = Pair()
    twin = ready(module)
    assert module.joined is None
    assert twin.joined is not None
    xs = torch.randn(2, 5, 4)
    torch.testing.assert_close(twin.apart(xs), (module.a(xs), module.b(xs)))
    torch.testing.assert_close(module.apart(xs), (module.a(xs), module.b(xs)))
    assert ready(module.double()).joined is None
    assert ready(Pair(OtherLinear)).joined is None


def test_a_ready_module_is_a_copy_that_shares_all_else() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2)))
    module.append(nn.LayerNorm(2)).eval()
    twin = ready(module)
    assert not any(isinstance(part, PackedLinear) for part in module.modules())
    assert not any(isinstance(part, nn.Linear) for part in twin.modules())
    assert twin[2].weight is module[2].weight
    xs = torch.randn(3, 4)
    torch.testing.assert_close(twin(xs), module(xs))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_not_packed(dtype: torch.dtype) -> None:
    layer = nn.Linear(4, 4).to(dtype)
    assert packed(layer) is layer


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    xs = torch.ones(1000, 1001, requires_grad=True)  # no multiple of 4
    ys = Dropout(rate)(xs)
    ys.sum().backward()
    assert float((ys == 0).float().mean()) == pytest.approx(rate, abs=2e-3)
    assert float(ys.detach().mean()) == pytest.approx(1.0, abs=1e-2)
    assert torch.equal(xs.grad, ys.detach())
    torch.testing.assert_close(ys.max().item(), 1 / (1 - rate), rtol=2e-4, atol=0.0)


def test_dropout_rests_in_evaluation_and_follows_the_generator() -> None:
    xs = torch.randn(3, 5)
    dropout = Dropout(0.5)
    torch.manual_seed(1)
    first = dropout(xs)
    torch.manual_seed(1)
    assert torch.equal(dropout(xs), first)
    assert dropout.eval()(xs) is xs
    assert torch.equal(Dropout(1.0)(xs), torch.zeros_like(xs))
