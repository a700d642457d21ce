"""Plans by which a number of an optimizer changes. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espnet.utils.errors import UserError, one_of

if TYPE_CHECKING:
    from torch.optim import Optimizer

Factor = Callable[[int], float]  # of the n-th update (n from 0) -> factor


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
    """

    numbers: Mapping[str, Number]
    factor: Callable[..., Factor]


def _none() -> Factor:
    return lambda n: 1.0


def _noam(warmup: int) -> Factor:
    """Vaswani et al. 2017, equation 3, scaled to be 1 at its highest."""
    return lambda n: math.sqrt(warmup) * min((n + 1) ** -0.5, (n + 1) * warmup**-1.5)


def _cosine(warmup: int, total: int) -> Factor:
    return lambda n: 0.5 * (math.cos(math.pi * (n - warmup) / total) + 1.0)


SCHEDULERS: dict[str, Scheduler] = {
    "none": Scheduler({}, _none),
    "noam": Scheduler({"warmup": Number(1000, "updates until the highest")}, _noam),
    "cosine": Scheduler(
        {
            "warmup": Number(1000, "update at which it is highest"),
            "total": Number(100000, "updates from there to the lowest"),
        },
        _cosine,
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
            if name not in SCHEDULERS:
                raise UserError(one_of(f"schedulers: {key}", name, SCHEDULERS))
            if key in chosen:
                raise UserError(f"schedulers: '{key}' is given twice")
            chosen[key] = name
    return chosen


def option_names(key: str, name: str) -> dict[str, Number]:
    """The options of a scheduler for one field, underscored: ``lr_noam_warmup``."""
    numbers = SCHEDULERS[name].numbers
    return {f"{key}_{name}_{number}": value for number, value in numbers.items()}


class Schedule:
    """Sets fields of an optimizer after each update.

    The first update is made with the base value, the next with the plan's factor for
    n = 0, then 1, 2, ...

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

    def step(self) -> None:
        """An update has been made."""
        for key, factor in self.factors.items():
            for group in self.optimizer.param_groups:
                group[key] = self.base[key] * factor(self.count)
        self.count += 1

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
        factors[key] = SCHEDULERS[name].factor(*numbers.values())
    return factors
