"""Linear layers that oneDNN computes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from asr_models import batch, build
from torch import Tensor

from espnet.nets.pytorch_backend import linear as module
from espnet.nets.pytorch_backend.linear import (
    Linear,
    Pointwise,
    dense,
    has_onednn,
    linear,
    matmul,
)

needs_onednn = pytest.mark.skipif(not has_onednn(), reason="torch without oneDNN")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of all sizes, on processors of all makers."""
    monkeypatch.setattr(module, "LEAST", 0)
    monkeypatch.setattr(module, "is_of_intel", lambda: False)


def gradients(
    function, xs: Tensor, weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    inputs = [t.detach().requires_grad_() for t in (xs, weight, bias) if t is not None]
    given = inputs if bias is not None else [*inputs, None]
    output = function(*given)
    torch.manual_seed(1)
    return [output, *torch.autograd.grad(output, inputs, torch.randn(output.shape))]


@needs_onednn
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("shape", [(5,), (1, 1), (2, 7), (2, 3, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_torch(
    shape: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(0)
    xs, weight = torch.randn(*shape, 6), torch.randn(8, 6)
    addend = torch.randn(8) if bias else None
    found = gradients(linear, xs, weight, addend)
    assert "Product" in type(found[0].grad_fn).__name__
    expected = gradients(F.linear, xs, weight, addend)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@needs_onednn
@pytest.mark.usefixtures("always")
def test_inputs_that_are_not_contiguous_or_need_no_gradient() -> None:
    torch.manual_seed(0)
    layer, frames = Linear(6, 8), Pointwise(6, 8)
    xs = torch.randn(6, 5, 2).transpose(0, 2)
    for part, weight in ((layer, layer.weight), (frames, frames.weight[:, :, 0])):
        part(xs).square().sum().backward()
        own = weight.detach().requires_grad_()
        F.linear(xs, own, part.bias.detach()).square().sum().backward()
        torch.testing.assert_close(part.weight.grad.flatten(1), own.grad)


@needs_onednn
@pytest.mark.usefixtures("always")
def test_products_without_gradients() -> None:
    torch.manual_seed(0)
    lefts, rights = torch.randn(4, 5).t(), torch.randn(4, 3)
    torch.testing.assert_close(matmul(lefts, rights), lefts @ rights)
    lefts, rights = lefts.double(), rights.double()
    assert torch.equal(matmul(lefts, rights), lefts @ rights)


def test_operands_have_no_gaps() -> None:
    """A weight's gradient from every second frame took 1.2 s instead of 1 ms."""
    rows = torch.randn(8, 6)
    assert dense(rows) is rows
    turned = rows.t()
    assert dense(turned) is turned
    for thinned in (rows[::2], rows[::2].t(), torch.randn(3, 8, 6)[:, ::2]):
        found = dense(thinned)
        assert found.is_contiguous()
        assert torch.equal(found, thinned)


@needs_onednn
@pytest.mark.usefixtures("always")
def test_gradients_of_frames_that_were_thinned_out() -> None:
    torch.manual_seed(0)
    xs, weight = torch.randn(3, 9, 6)[:, ::2], torch.randn(8, 6)
    found = gradients(linear, xs, weight, None)
    torch.testing.assert_close(found, gradients(F.linear, xs, weight, None))


@pytest.mark.usefixtures("always")
def test_other_formats_are_left_to_torch() -> None:
    xs, weight = torch.randn(3, 6), torch.randn(8, 6, requires_grad=True)
    double = linear(xs.double(), weight.double(), None)
    assert "Product" not in type(double.grad_fn).__name__
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(xs, weight, None).dtype == torch.bfloat16


def test_small_products_are_left_to_torch() -> None:
    weight = torch.randn(8, 6, requires_grad=True)
    output = linear(torch.randn(3, 6), weight, None)
    assert "Product" not in type(output.grad_fn).__name__


@needs_onednn
@pytest.mark.parametrize(
    "name",
    [
        *("transformer-conv2d", "conformer-latest", "rnn-blstmp-dot"),
        "transducer-bgru-all-tasks",
    ],
)
def test_a_model_learns_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_of_intel", lambda: False)
    found = []
    for least in (module.LEAST, 0):  # large products only, and all
        monkeypatch.setattr(module, "LEAST", least)
        model = build(name).eval()
        loss = model(*batch())
        loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        found.append([loss.detach(), *grads])
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)
