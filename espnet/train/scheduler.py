"""Plans by which a number of an optimizer changes. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError, one_of

if TYPE_CHECKING:
    from torch.optim import Optimizer

Factor = Callable[[int], float]  # n-th update, n from 0 -> factor on the base value


@dataclass(frozen=True)
class Number:
    """A number of a scheduler, to be had as ``--<key>-<scheduler>-<name>``."""

    default: int
    help: str


@dataclass(frozen=True)
class Scheduler:
    """A plan by name.

    Attributes:
        numbers: what it takes, by name.
        factor: these, in order -> the factor on the base value at update n.
        is_late: the first update is made with the base value, and the plan begins with
            the second, as in ESPnet1.
    """

    numbers: Mapping[str, Number]
    factor: Callable[..., Factor]
    is_late: bool = False


def _none() -> Factor:
    return lambda n: 1.0


def _noam(warmup: int) -> Factor:
    """Vaswani et al. 2017, equation 3, scaled to be 1 at its highest."""
    return lambda n: math.sqrt(warmup) * min((n + 1) ** -0.5, (n + 1) * warmup**-1.5)


def _cosine(warmup: int, total: int) -> Factor:
    return lambda n: 0.5 * (math.cos(math.pi * (n - warmup) / total) + 1.0)


def _warmup(warmup: int) -> Factor:
    """Straight up to the base value, which then stays (Goyal et al. 2017)."""
    return lambda n: min(1.0, (n + 1) / warmup)


def _warmup_cosine(warmup: int, total: int) -> Factor:
    """Straight up, then half a cosine down to 0 (Loshchilov and Hutter 2017)."""
    if total <= warmup:
        raise UserError(
            f"schedulers: warmup_cosine: total {total} must be above warmup {warmup}"
        )

    def factor(n: int) -> float:
        share = min(1.0, (n + 1 - warmup) / (total - warmup))
        return (n + 1) / warmup if share < 0 else 0.5 * (math.cos(math.pi * share) + 1)

    return factor


SCHEDULERS: dict[str, Scheduler] = {
    "none": Scheduler({}, _none),
    "noam": Scheduler(
        {"warmup": Number(1000, "updates until the highest")}, _noam, is_late=True
    ),
    "cosine": Scheduler(
        {
            "warmup": Number(1000, "update at which it is highest"),
            "total": Number(100000, "updates from there to the lowest"),
        },
        _cosine,
        is_late=True,
    ),
    "warmup": Scheduler({"warmup": Number(1000, "updates of the rise")}, _warmup),
    "warmup_cosine": Scheduler(
        {
            "warmup": Number(1000, "updates of the rise"),
            "total": Number(100000, "update at which it is 0"),
        },
        _warmup_cosine,
    ),
}


def parse_schedulers(texts: Sequence[str]) -> dict[str, str]:
    """``["lr=noam"]`` -> ``{"lr": "noam"}``.

    Raises:
        UserError: not of that form, an unknown name, or a field that comes twice.
    """
    chosen: dict[str, str] = {}
    for text in texts:
        for part in text.split(","):
            key, equals, name = (word.strip() for word in part.partition("="))
            if not (key and equals and name):
                raise UserError(
                    f"schedulers: '{part}' must be <field>=<scheduler>, like lr=noam"
                )
            if name not in SCHEDULERS and ":" not in name:
                raise UserError(
                    one_of(f"schedulers: {key}", name, SCHEDULERS)
                    + ", nor a package.module:function"
                )
            if key in chosen:
                raise UserError(f"schedulers: '{key}' is given twice")
            chosen[key] = name
    return chosen


def option_names(key: str, name: str) -> dict[str, Number]:
    """The options of a scheduler for one field, underscored: ``lr_noam_warmup``."""
    numbers = SCHEDULERS[name].numbers if name in SCHEDULERS else {}
    return {f"{key}_{name}_{number}": value for number, value in numbers.items()}


class Schedule:
    """Sets fields of an optimizer before the first update and after each.

    Args:
        optimizer: whose fields change.
        factors: by field.

    Raises:
        UserError: the optimizer has no such number.
    """

    def __init__(self, optimizer: Optimizer, factors: Mapping[str, Factor]) -> None:
        self.optimizer = optimizer
        self.factors = dict(factors)
        self.count = 0
        group = optimizer.param_groups[0]
        fields = [
            name
            for name, value in group.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        ]
        for key in factors:
            if key not in fields:
                raise UserError(one_of("schedulers: field", key, fields))
        self.base = {key: float(group[key]) for key in factors}
        self._set()

    def step(self) -> None:
        """An update has been made."""
        self.count += 1
        self._set()

    def _set(self) -> None:
        for key, factor in self.factors.items():
            for group in self.optimizer.param_groups:
                group[key] = self.base[key] * factor(self.count)

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` takes; the fields are in the optimizer's."""
        return {"count": self.count, "base": dict(self.base)}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from a state."""
        self.count = state_dict["count"]
        self.base.update(state_dict["base"])


def make_factors(
    chosen: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Factor]:
    """The factors of chosen schedulers.

    Args:
        chosen: field -> name.
        values: options by their underscored names.

    Raises:
        UserError: a number is below 1.
    """
    factors = {}
    for key, name in chosen.items():
        numbers = {
            option: values.get(option, number.default)
            for option, number in option_names(key, name).items()
        }
        for option, number in numbers.items():
            if number < 1:
                flag = option.replace("_", "-")
                raise UserError(f"{flag}: {number} must be 1 or more")
        if name not in SCHEDULERS:
            factors[key] = dynamic_import(name, "schedulers")
            continue
        scheduler = SCHEDULERS[name]
        factor = scheduler.factor(*numbers.values())
        factors[key] = _late(factor) if scheduler.is_late else factor
    return factors


def _late(factor: Factor) -> Factor:
    return lambda n: factor(n - 1) if n else 1.0
