"""Plans of learning rates."""

from __future__ import annotations

import math

import pytest
import torch

from espnet.train.scheduler import (
    SCHEDULERS,
    Schedule,
    make_factors,
    option_names,
    parse_schedulers,
)
from espnet.utils.errors import UserError


def optimizer(**options: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], **options)


def test_factors() -> None:
    noam = SCHEDULERS["noam"].factor(4)
    # sqrt(4) * min((n + 1) ** -0.5, (n + 1) / 8)
    assert [noam(n) for n in (0, 1, 3, 15)] == pytest.approx([0.25, 0.5, 1.0, 0.5])
    cosine = SCHEDULERS["cosine"].factor(2, 4)
    expected = [(math.cos(math.pi * x) + 1) / 2 for x in (-0.5, 0, 0.5, 1)]
    assert [cosine(n) for n in (0, 2, 4, 6)] == pytest.approx(expected)
    assert SCHEDULERS["none"].factor()(7) == 1.0


def test_rise_and_fall() -> None:
    """Straight up to 1 in 4 updates; then 1 for ever, or half a cosine down to 0."""
    rise = SCHEDULERS["warmup"].factor(4)
    assert [rise(n) for n in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    both = SCHEDULERS["warmup_cosine"].factor(4, 12)
    half = (math.cos(math.pi / 4) + 1) / 2  # a quarter of the way down
    expected = [0.25, 1.0, half, 0.5, 0.0, 0.0]
    assert [both(n) for n in (0, 3, 5, 7, 11, 99)] == pytest.approx(expected)


def falling(n: int) -> float:
    return 0.5**n


def test_a_plan_of_the_users_own() -> None:
    chosen = parse_schedulers([f"lr={__name__}:falling"])
    assert option_names("lr", chosen["lr"]) == {}
    plan = Schedule(optimizer(lr=8.0), make_factors(chosen, {}))
    rates = []
    for _ in range(3):
        rates.append(plan.optimizer.param_groups[0]["lr"])
        plan.step()
    assert rates == [8.0, 4.0, 2.0]


def test_schedule() -> None:
    """The first update has the base value; the next one the factor of n = 0."""
    sgd = optimizer(lr=2.0, weight_decay=0.5)
    factors = make_factors(
        {"lr": "noam", "weight_decay": "none"}, {"lr_noam_warmup": 4}
    )
    plan = Schedule(sgd, factors)
    rates = []
    for _ in range(4):
        rates.append(sgd.param_groups[0]["lr"])
        plan.step()
    assert rates == pytest.approx([2.0, 0.5, 1.0, 1.5])
    assert sgd.param_groups[0]["weight_decay"] == 0.5
    other = optimizer(lr=2.0)
    continued = Schedule(other, factors)
    continued.load_state_dict(plan.state_dict())
    continued.step()
    plan.step()
    assert other.param_groups[0]["lr"] == sgd.param_groups[0]["lr"]


def test_names() -> None:
    assert parse_schedulers(["lr=noam", "eps=none"]) == {"lr": "noam", "eps": "none"}
    assert parse_schedulers(["lr=noam, eps = none"]) == {"lr": "noam", "eps": "none"}
    assert list(option_names("lr", "cosine")) == ["lr_cosine_warmup", "lr_cosine_total"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["noam"], "schedulers: 'noam' must be <field>=<scheduler>, like lr=noam"),
        (["lr=noamm"], r"schedulers: lr: 'noamm' is none of .*did you mean 'noam'"),
        (["lr=noam", "lr=cosine"], "schedulers: 'lr' is given twice"),
    ],
)
def test_bad_names(texts: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_schedulers(texts)


def test_what_cannot_be() -> None:
    with pytest.raises(UserError, match="field: 'eps' is none of .*lr"):
        Schedule(optimizer(lr=1.0), make_factors({"eps": "none"}, {}))
    with pytest.raises(UserError, match="lr-noam-warmup: 0 must be 1 or more"):
        make_factors({"lr": "noam"}, {"lr_noam_warmup": 0})
    numbers = {"lr_warmup_cosine_warmup": 9, "lr_warmup_cosine_total": 9}
    with pytest.raises(UserError, match="total 9 must be above warmup 9"):
        make_factors({"lr": "warmup_cosine"}, numbers)
    with pytest.raises(UserError, match="schedulers: .*no_such_module"):
        make_factors({"lr": "no_such_module:f"}, {})
