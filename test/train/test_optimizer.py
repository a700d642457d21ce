"""Optimizers by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from espnet.train.optimizer import (
    OPTIMIZERS,
    OptimizerOptions,
    fused,
    make_optimizer,
    noam_rate,
    parse_name,
)
from espnet.train.scheduler import make_factors
from espnet.utils.errors import UserError

NOAM = OptimizerOptions(noam_factor=2.0, noam_dim=16, noam_warmup=3)


def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.tensor([1.0, -2.0]))]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_square_gets_smaller(name: str) -> None:
    (p,) = parameters()
    made = make_optimizer(name, [p], NOAM)
    for _ in range(30):
        made.optimizer.zero_grad()
        p.square().sum().backward()
        made.optimizer.step()
    assert p.square().sum() < 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-6, "weight_decay": 0.1}),
        ("adam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}),
    ],
)
def test_numbers(name: str, expected: dict) -> None:
    options = OptimizerOptions(eps=1e-6, weight_decay=0.1)
    made = make_optimizer(name, parameters(), options)
    group = made.optimizer.param_groups[0]
    assert {key: group[key] for key in expected} == expected
    assert made.has_eps_decay == (name == "adadelta")


def test_noam_follows_its_plan() -> None:
    """factor * d^-0.5 * min(step^-0.5, step * warmup^-1.5), step from 1."""
    (p,) = parameters()
    made = make_optimizer("noam", [p], NOAM)
    rates = []
    for _ in range(5):
        p.square().sum().backward()
        rates.append(made.optimizer.param_groups[0]["lr"])
        made.optimizer.step()
        assert made.scheduler is not None
        made.scheduler.step()
    by_hand = [2 / 4 * min(s**-0.5, s * 3**-1.5) for s in (1, 2, 3, 4, 5)]
    assert rates == pytest.approx(by_hand)
    assert noam_rate(4, 2.0, 16, 3) == pytest.approx(0.25)
    group = made.optimizer.param_groups[0]
    assert group["betas"] == (0.9, 0.98) and group["eps"] == 1e-9


def test_frozen_parameters_are_left_out() -> None:
    free, frozen = *parameters(), *parameters()
    frozen.requires_grad_(False)
    made = make_optimizer("adam", [free, frozen], OptimizerOptions())
    assert made.optimizer.param_groups[0]["params"] == [free]
    with pytest.raises(UserError, match="all of them are frozen"):
        make_optimizer("adam", [frozen], OptimizerOptions())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{__name__}:parameters", "is no torch.optim.Optimizer"),
        ("torch.optim:Sgd", "opt: module 'torch.optim' has no 'Sgd'"),
        ("torch.optim:LBFGS", "LBFGS' cannot be made: "),
        ("noam", "noam needs a model with a learning-rate plan"),
    ],
)
def test_mistakes(name: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        make_optimizer(name, parameters(), OptimizerOptions(weight_decay=0.1))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("dim", "warmup", "words"),
    [
        (0, 9, r"opt: noam: noam-adim \(or adim\), the size of the model, is 0"),
        (8, 0, r"optimizer-warmup-steps \(or .*\) is 0; it must be at least 1"),
    ],
)
def test_a_plan_without_numbers(dim: int, warmup: int, words: str) -> None:
    options = OptimizerOptions(noam_factor=1.0, noam_dim=dim, noam_warmup=warmup)
    with pytest.raises(UserError, match=words):
        make_optimizer("noam", parameters(), options)


def test_names() -> None:
    assert [parse_name(name) for name in (*OPTIMIZERS, "a.b:C")][-1] == "a.b:C"
    with pytest.raises(ValueError, match=r"^'adama' is none of .*did you mean 'adam'"):
        parse_name("adama")


class Plain(torch.optim.SGD):
    """A plug-in."""


def test_an_optimizer_of_the_users_own() -> None:
    options = OptimizerOptions(lr=0.5, weight_decay=0.1)
    made = make_optimizer(f"{__name__}:Plain", parameters(), options)
    assert isinstance(made.optimizer, Plain)
    group = made.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.1)


def test_a_plan_beside_an_optimizer() -> None:
    (p,) = parameters()
    factors = make_factors({"lr": "warmup"}, {"lr_warmup_warmup": 4})
    made = make_optimizer("adamw", [p], OptimizerOptions(lr=0.1), factors)
    assert made.scheduler is not None
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(0.025)
    with pytest.raises(UserError, match="--opt noam has a plan of its own"):
        make_optimizer("noam", [p], NOAM, factors)
    with pytest.raises(UserError, match="noam has a plan instead"):
        make_optimizer("noam", [p], replace(NOAM, lr=1.0))


def test_decoupled_weight_decay() -> None:
    """AdamW without gradient: p <- p * (1 - lr * decay), Loshchilov and Hutter."""
    (p,) = parameters()
    options = OptimizerOptions(lr=0.1, weight_decay=0.5)
    made = make_optimizer("adamw", [p], options)
    p.grad = torch.zeros_like(p)
    made.optimizer.step()
    assert p.tolist() == pytest.approx([0.95, -1.9])


def test_without_fused_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older torch refuses them on the CPU."""

    class Old(torch.optim.SGD):
        def __init__(self, *args: Any, fused: bool = False, **numbers: Any) -> None:
            if fused:
                raise RuntimeError("`fused=True` requires CUDA")
            super().__init__(*args, **numbers)

    assert fused(Old, parameters(), lr=0.5).param_groups[0]["lr"] == 0.5
    adam = make_optimizer("adam", parameters(), OptimizerOptions()).optimizer
    assert adam.param_groups[0]["fused"]
