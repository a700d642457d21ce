"""Optimizers of language models, each with options of its own.

Imports torch only when one is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espnet.train.optimizer import Optimization, OptimizerOptions, fused, make_optimizer
from espnet.train.scheduler import Schedule, make_factors
from espnet.utils.errors import UserError
from espnet.utils.options import option, read_config

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer


@dataclass(frozen=True)
class SGDOptions:
    """Stochastic gradient descent."""

    lr: float = option(1.0, "learning rate")
    weight_decay: float = option(0.0, "L2 penalty")

    def build(self, parameters: list[Parameter]) -> Optimizer:
        """The optimizer."""
        from torch.optim import SGD

        return SGD(parameters, lr=self.lr, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class AdamOptions:
    """Kingma and Ba 2015, arXiv:1412.6980."""

    lr: float = option(0.001, "learning rate")
    beta1: float = option(0.9, "decay of the mean gradient")
    beta2: float = option(0.999, "decay of the mean squared gradient")
    weight_decay: float = option(0.0, "L2 penalty")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        for name in ("beta1", "beta2"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UserError(f"{name}: {getattr(self, name)} must lie in [0, 1)")

    def build(self, parameters: list[Parameter]) -> Optimizer:
        """The optimizer."""
        from torch.optim import Adam

        betas = (self.beta1, self.beta2)
        decay = self.weight_decay
        return fused(Adam, parameters, lr=self.lr, betas=betas, weight_decay=decay)


@dataclass(frozen=True)
class AdamWOptions(AdamOptions):
    """Adam whose weight decay is apart from the gradient, arXiv:1711.05101."""

    def build(self, parameters: list[Parameter]) -> Optimizer:
        """The optimizer."""
        from torch.optim import AdamW

        betas = (self.beta1, self.beta2)
        decay = self.weight_decay
        return fused(AdamW, parameters, lr=self.lr, betas=betas, weight_decay=decay)


@dataclass(frozen=True)
class AdadeltaOptions:
    """Zeiler 2012, arXiv:1212.5701."""

    rho: float = option(0.95, "decay of the mean squares")
    eps: float = option(1e-8, "term against division by zero")
    weight_decay: float = option(0.0, "L2 penalty")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        if not 0.0 <= self.rho <= 1.0:
            raise UserError(f"rho: {self.rho} must lie in [0, 1]")

    def build(self, parameters: list[Parameter]) -> Optimizer:
        """The optimizer."""
        from torch.optim import Adadelta

        return Adadelta(
            parameters,
            lr=1.0,
            rho=self.rho,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True)
class PlugInOptions:
    """Numbers of a torch optimizer of the user's, which gets those that are given."""

    lr: float | None = option(None, "learning rate")
    weight_decay: float = option(0.0, "L2 penalty")


OPTIMIZERS: dict[str, type[SGDOptions] | type[AdamOptions] | type[AdadeltaOptions]] = {
    "sgd": SGDOptions,
    "adam": AdamOptions,
    "adamw": AdamWOptions,
    "adadelta": AdadeltaOptions,
}


def make_optimization(
    name: str,
    parameters: Iterable[Parameter],
    schedulers: Mapping[str, str],
    values: Mapping[str, Any],
) -> Optimization:
    """The optimizer ``name`` with its plan.

    Args:
        name: a key of ``OPTIMIZERS``, or the path of a class.
        parameters: of the model.
        schedulers: field -> scheduler.
        values: every option.

    Raises:
        UserError: options that cannot be, or a field that the optimizer lacks.
    """
    kind: Any = OPTIMIZERS.get(name, PlugInOptions)
    options = read_config(kind, values)
    for field in ("lr", "eps"):
        value = getattr(options, field, None)
        if value is not None and not value > 0.0:
            raise UserError(f"{field}: {value} must be above 0")
    factors = make_factors(schedulers, values)
    if name not in OPTIMIZERS:
        numbers = OptimizerOptions(lr=options.lr, weight_decay=options.weight_decay)
        return make_optimizer(name, parameters, numbers, factors)
    optimizer = options.build([p for p in parameters if p.requires_grad])
    return Optimization(optimizer, Schedule(optimizer, factors) if factors else None)
