"""The Transducer loss against a sum over all alignments, and what must not matter."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from espnet.nets.pytorch_backend.transducer import joint_loss as joint_module
from espnet.nets.pytorch_backend.transducer import loss as loss_module
from espnet.nets.pytorch_backend.transducer.joint_loss import (
    JOINT_ACTIVATIONS,
    joint_transducer_loss,
)
from espnet.nets.pytorch_backend.transducer.loss import symbol_scores, transducer_loss


def enumerated(log_probs: Tensor, labels: list[int], blank: int) -> Tensor:
    """-log of the sum over all alignments of one utterance; log_probs (T, U, V)."""
    frames = len(log_probs)
    steps = frames - 1 + len(labels)  # the last blank is fixed
    scores = []
    for places in combinations(range(steps), len(labels)):
        t = u = 0
        score = torch.zeros((), dtype=log_probs.dtype)
        for step in range(steps):
            if step in places:
                score = score + log_probs[t, u, labels[u]]
                u += 1
            else:
                score = score + log_probs[t, u, blank]
                t += 1
        scores.append(score + log_probs[t, u, blank])
    return -torch.stack(scores).logsumexp(0)


def ragged(blank: int = 0, dtype: torch.dtype = torch.double) -> tuple[Tensor, ...]:
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 4, 4, 5, generator=draw, dtype=dtype) * 2
    targets = torch.tensor([[1, 2, 2], [3, 1, -1], [-1, -1, -1]])
    if blank:
        targets = torch.where(targets == blank, 0, targets)
    return logits, targets, torch.tensor([4, 2, 3]), torch.tensor([3, 2, 0])


@pytest.mark.parametrize("blank", [0, 3])
def test_loss_and_gradient_are_those_of_all_alignments(blank: int) -> None:
    logits, targets, frames, counts = ragged(blank)
    logits.requires_grad_()
    expected = torch.stack(
        [
            enumerated(logits[b, :t].log_softmax(-1), targets[b, :u].tolist(), blank)
            for b, (t, u) in enumerate(
                zip(frames.tolist(), counts.tolist(), strict=True)
            )
        ]
    )
    losses = transducer_loss(
        logits, targets, frames, counts, blank=blank, reduction="none"
    )
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-12)
    weights = torch.tensor([1.0, 0.5, -2.0], dtype=torch.double)
    (wanted,) = torch.autograd.grad(expected @ weights, logits)
    (found,) = torch.autograd.grad(losses @ weights, logits)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def test_gradcheck() -> None:
    logits, *rest = ragged()
    assert torch.autograd.gradcheck(
        lambda x: transducer_loss(x, *rest), logits.requires_grad_()
    )


@pytest.mark.parametrize("weight", [0.0, 0.01, 0.7])
def test_fastemit_scales_the_gradient_of_labels_only(weight: float) -> None:
    """Equation 9 of the paper: (1 + lambda) times the gradient of each label's
    log-probability, before the softmax."""
    logits, targets, frames, counts = ragged()
    logits, targets = logits[:1].requires_grad_(), targets[:1]
    labels = targets[0].tolist()
    log_probs = logits[0].log_softmax(-1)
    (by_log_prob,) = torch.autograd.grad(
        enumerated(log_probs, labels, 0), log_probs, retain_graph=True
    )
    scale = torch.ones_like(by_log_prob)
    for u, label in enumerate(labels):
        scale[:, u, label] += weight
    (expected,) = torch.autograd.grad(log_probs, logits, by_log_prob * scale)
    loss = transducer_loss(
        logits, targets, frames[:1], counts[:1], fastemit_lambda=weight
    )
    assert loss.item() == pytest.approx(enumerated(log_probs, labels, 0).item())
    (found,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.double, torch.bfloat16])
def test_symbol_scores(dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=draw).to(dtype).requires_grad_()
    symbols = torch.randint(5, (2, 3, 4, 2), generator=draw)
    symbols[0, 0, 0] = 2  # twice the same
    precise = torch.promote_types(dtype, torch.float)
    expected = logits.log_softmax(-1, dtype=precise).gather(-1, symbols)
    found = symbol_scores(logits, symbols)
    torch.testing.assert_close(found, expected)
    grad = torch.randn(expected.shape, generator=draw).to(precise)
    torch.testing.assert_close(
        torch.autograd.grad(found, logits, grad),
        torch.autograd.grad(expected, logits, grad),
    )


def test_labels_whose_probability_is_0_in_single_precision() -> None:
    logits, *rest = ragged()
    logits[:, ::2, :, 4] += 300.0
    expected = transducer_loss(logits.requires_grad_(), *rest)
    single = logits.detach().float().requires_grad_()
    found = transducer_loss(single, *rest)
    assert expected > 400.0
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(found, single)[0].double(),
        torch.autograd.grad(expected, logits)[0],
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16])
def test_a_second_gradient_is_the_first(dtype: torch.dtype) -> None:
    logits, *rest = ragged(dtype=dtype)
    loss = transducer_loss(logits.requires_grad_(), *rest)
    (first,) = torch.autograd.grad(loss, logits, retain_graph=True)
    kept = first.clone()
    (second,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(second, kept)
    torch.testing.assert_close(first, kept, rtol=0, atol=0)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_reductions(reduction: str) -> None:
    batch = ragged()
    losses = transducer_loss(*batch, reduction="none")
    expected = {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]
    torch.testing.assert_close(transducer_loss(*batch, reduction=reduction), expected)


def test_padding_is_never_read() -> None:
    logits, targets, frames, counts = ragged()
    expected = transducer_loss(logits, targets, frames, counts, reduction="none")
    spoiled = logits.clone()
    for b, (t, u) in enumerate(zip(frames, counts, strict=True)):
        spoiled[b, t:] = math.nan
        spoiled[b, :, u + 1 :] = math.nan
    spoiled.requires_grad_()
    losses = transducer_loss(spoiled, targets, frames, counts, reduction="none")
    torch.testing.assert_close(losses.detach(), expected, rtol=0, atol=0)
    losses.sum().backward()
    assert spoiled.grad is not None
    assert spoiled.grad.isfinite().all()
    assert not spoiled.grad[spoiled.isnan()].any()


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for size in (1, 400, 1 << 20):
        monkeypatch.setitem(loss_module.BLOCK_BYTES, "cpu", size)
        logits, *rest = ragged()
        loss = transducer_loss(logits.requires_grad_(), *rest)
        loss.backward()
        results.append((loss.detach(), logits.grad))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-12, atol=1e-14)


def test_single_precision_is_as_exact_as_its_softmax() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 200, 41, 30, generator=draw)
    targets = torch.randint(1, 30, (2, 40), generator=draw)
    rest = (targets, torch.tensor([200, 150]), torch.tensor([40, 20]))
    grads = []
    for dtype in (torch.float, torch.double):
        leaf = logits.to(dtype).clone().requires_grad_()
        transducer_loss(leaf, *rest).backward()
        assert leaf.grad is not None
        grads.append(leaf.grad.double())
    error = (grads[0] - grads[1]).norm() / grads[1].norm()
    assert error < 1e-6


def test_impossible_symbols_give_a_finite_gradient() -> None:
    logits, *rest = ragged()
    logits[:, :, :, 4] = -torch.inf  # no label, never the blank
    logits.requires_grad_()
    loss = transducer_loss(logits, *rest)
    loss.backward()
    assert loss.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


JOINT = ("enc", "dec", "weight", "bias")


def joint_parts(dtype: torch.dtype = torch.double) -> list[Tensor]:
    draw = torch.Generator().manual_seed(5)
    shapes = ((3, 4, 6), (3, 4, 6), (5, 6), (5,))
    return [
        torch.randn(shape, generator=draw, dtype=dtype).requires_grad_()
        for shape in shapes
    ]


@pytest.mark.parametrize("activation", JOINT_ACTIVATIONS)
@pytest.mark.parametrize(("size", "kept"), [(1, 0), (1, 700), (1 << 20, 1 << 20)])
def test_joint_and_loss_equal_one_after_the_other(
    activation: str, size: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loss_module.BLOCK_BYTES, "cpu", size)
    monkeypatch.setitem(joint_module.KEPT_BYTES, "cpu", kept)
    enc, dec, weight, bias = parts = joint_parts()
    labels = ragged()[1:]
    function = {
        "relu": torch.relu,
        "tanh": torch.tanh,
        "swish": torch.nn.functional.silu,
    }[activation]
    logits = function(enc[:, :, None] + dec[:, None]) @ weight.T + bias
    expected = transducer_loss(logits, *labels, fastemit_lambda=0.1)
    found = joint_transducer_loss(
        *parts, *labels, activation=activation, fastemit_lambda=0.1
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, parts), torch.autograd.grad(expected, parts)
    )


def test_joint_and_loss_with_constant_weights() -> None:
    enc, dec, weight, bias = parts = joint_parts()
    labels = ragged()[1:]
    expected = torch.autograd.grad(joint_transducer_loss(*parts, *labels), [enc, dec])
    loss = joint_transducer_loss(enc, dec, weight.detach(), bias.detach(), *labels)
    torch.testing.assert_close(torch.autograd.grad(loss, [enc, dec]), expected)


def test_joint_and_loss_in_half_precision() -> None:
    labels = ragged()[1:]
    parts = joint_parts(torch.float)
    exact = joint_transducer_loss(*parts, *labels)
    enc, dec, weight, bias = parts
    mixed = joint_transducer_loss(enc.bfloat16(), dec.bfloat16(), weight, bias, *labels)
    assert mixed.dtype == torch.float
    assert mixed.item() == pytest.approx(exact.item(), rel=0.02)
    for a, b in zip(
        torch.autograd.grad(mixed, parts),
        torch.autograd.grad(exact, parts),
        strict=True,
    ):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=0.1, atol=0.05)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"targets": torch.ones(3, 2)}, r"targets have shape \[3, 2\], logits .* need"),
        ({"logit_lengths": torch.tensor([4, 0, 3])}, r"must lie in \[1, 4\]"),
        ({"logit_lengths": torch.tensor([4, 2])}, r"have shape \[2\], not \[3\]"),
        ({"target_lengths": torch.tensor([4, 2, 0])}, r"must lie in \[0, 3\]"),
        ({"targets": torch.full((3, 3), 5)}, r"\[5, 5, 5, 5, 5\] are no labels"),
        ({"blank": 1}, r"differ from blank 1"),
        ({"blank": -1}, r"blank: -1 must lie in \[0, 5\)"),
        ({"blank": 5}, r"blank: 5 must lie in \[0, 5\)"),
        ({"reduction": "average"}, r"'average' is none of none, sum, mean"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, words: str) -> None:
    names = ("logits", "targets", "logit_lengths", "target_lengths")
    arguments = {**dict(zip(names, ragged(), strict=True)), **change}
    with pytest.raises(ValueError, match=words):
        transducer_loss(**arguments)


@pytest.mark.gpu
def test_gpu_and_cpu_agree() -> None:
    results = []
    for device in ("cpu", "cuda"):
        logits, *rest = ragged(dtype=torch.float)
        leaf = logits.to(device).requires_grad_()
        parts = [p.detach().to(device).requires_grad_() for p in joint_parts()]
        loss = transducer_loss(leaf, *rest, fastemit_lambda=0.1)
        joint = joint_transducer_loss(*parts, *rest)
        grads = torch.autograd.grad(loss + joint, [leaf, *parts])
        results.append([x.detach().cpu() for x in (loss, joint, *grads)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kept", [0, 1 << 26])
def test_a_second_gradient_of_joint_and_loss_is_the_first(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(joint_module.KEPT_BYTES, "cpu", kept)
    draw = torch.Generator().manual_seed(5)
    _, *labels = ragged()
    enc, dec = (torch.randn(3, 4, 6, generator=draw) for _ in range(2))
    weight, bias = torch.randn(5, 6, generator=draw), torch.randn(5, generator=draw)
    leaves = [part.requires_grad_() for part in (enc, dec, weight, bias)]
    loss = joint_transducer_loss(*leaves, *labels)
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), first)
