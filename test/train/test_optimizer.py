"""Optimizers by name."""

from __future__ import annotations

import pytest
import torch

from espnet.train.optimizer import (
    OPTIMIZERS,
    OptimizerOptions,
    make_optimizer,
    noam_rate,
)
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
        ("adama", "none of adadelta, adam, noam (did you mean 'adam'?)"),
        ("noam", "noam needs a model with a learning-rate plan"),
    ],
)
def test_mistakes(name: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        make_optimizer(name, parameters(), OptimizerOptions())
    assert words in str(error.value)
