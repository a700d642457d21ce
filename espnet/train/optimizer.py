"""Optimizers by name. Imports torch only when one is built: options list the names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from espnet.train.scheduler import Factor, Schedule
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError, one_of

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer


class Plan(Protocol):
    """Changes the numbers of an optimizer from update to update."""

    def step(self) -> None:
        """An update has been made."""

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` takes."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from a state."""


@dataclass(frozen=True)
class OptimizerOptions:
    """Numbers of the optimizers; each uses those that it knows.

    Attributes:
        lr: learning rate; None is the optimizer's own: 1 of Adadelta, else 1e-3.
        eps: Adadelta's term against division by zero.
        weight_decay: all but noam's.
        noam_factor: factor on noam's learning rate.
        noam_dim: model dimension in noam's learning rate.
        noam_warmup: updates until noam's learning rate falls.
    """

    lr: float | None = None
    eps: float = 1e-8
    weight_decay: float = 0.0
    noam_factor: float | None = None
    noam_dim: int | None = None
    noam_warmup: int | None = None


@dataclass(frozen=True)
class Optimization:
    """An optimizer and, if its learning rate follows a plan, the plan."""

    optimizer: Optimizer
    scheduler: Plan | None = None
    has_eps_decay: bool = False


def fused(kind: Callable[..., Optimizer], *args: Any, **numbers: Any) -> Optimizer:
    """Build an optimizer whose update is one kernel, where this torch has that."""
    try:
        return kind(*args, **numbers, fused=True)
    except RuntimeError:
        return kind(*args, **numbers)


def _adadelta(parameters: list[Parameter], options: OptimizerOptions) -> Optimization:
    """Zeiler 2012, arXiv:1212.5701."""
    from torch.optim import Adadelta

    optimizer = Adadelta(
        parameters,
        lr=1.0 if options.lr is None else options.lr,
        rho=0.95,
        eps=options.eps,
        weight_decay=options.weight_decay,
    )
    return Optimization(optimizer, has_eps_decay=True)


def _adam(parameters: list[Parameter], options: OptimizerOptions) -> Optimization:
    """Kingma and Ba 2015, arXiv:1412.6980."""
    from torch.optim import Adam

    rate = 1e-3 if options.lr is None else options.lr
    return Optimization(
        fused(Adam, parameters, lr=rate, weight_decay=options.weight_decay)
    )


def _adamw(parameters: list[Parameter], options: OptimizerOptions) -> Optimization:
    """Adam whose weight decay is apart from the gradient.

    Loshchilov and Hutter 2019, arXiv:1711.05101.
    """
    from torch.optim import AdamW

    rate = 1e-3 if options.lr is None else options.lr
    return Optimization(
        fused(AdamW, parameters, lr=rate, weight_decay=options.weight_decay)
    )


def noam_rate(update: int, factor: float, dim: int, warmup: int) -> float:
    """Learning rate of the ``update``-th update, counted from 1.

    Vaswani et al. 2017, arXiv:1706.03762, equation 3, times ``factor``.
    """
    return factor * dim**-0.5 * min(update**-0.5, update * warmup**-1.5)


def _noam(parameters: list[Parameter], options: OptimizerOptions) -> Optimization:
    from torch.optim import Adam
    from torch.optim.lr_scheduler import LambdaLR

    factor, dim, warmup = (
        options.noam_factor,
        options.noam_dim,
        options.noam_warmup,
    )
    if factor is None or dim is None or warmup is None:
        raise UserError(
            "opt: noam needs a model with a learning-rate plan (transformer-lr, "
            "transformer-warmup-steps, adim); for this model use adadelta or adam"
        )
    for value, name in (
        (dim, "noam-adim (or adim), the size of the model,"),
        (warmup, "optimizer-warmup-steps (or transformer-warmup-steps)"),
    ):
        if value < 1:
            raise UserError(f"opt: noam: {name} is {value}; it must be at least 1")
    if options.lr is not None:
        raise UserError("lr: noam has a plan instead: transformer-lr is its factor")
    adam = fused(Adam, parameters, lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    plan = LambdaLR(adam, lambda done: noam_rate(done + 1, factor, dim, warmup))
    return Optimization(adam, plan)


OPTIMIZERS: dict[str, Callable[[list[Parameter], OptimizerOptions], Optimization]] = {
    "adadelta": _adadelta,
    "adam": _adam,
    "adamw": _adamw,
    "noam": _noam,
}


def parse_name(text: str, known: Collection[str] = OPTIMIZERS.keys()) -> str:
    """The name of an optimizer of a table, or the path of a class.

    Raises:
        ValueError: it is neither.
    """
    if text not in known and ":" not in text:
        reason = one_of("", text, known).removeprefix(": ")
        raise ValueError(f"{reason}, nor a package.module:Class")
    return text


def make_optimizer(
    name: str,
    parameters: Iterable[Parameter],
    options: OptimizerOptions,
    factors: Mapping[str, Factor] | None = None,
) -> Optimization:
    """Build the optimizer ``name`` for those parameters that are trained.

    Args:
        name: as :func:`parse_name` lets it pass: a key of OPTIMIZERS, or the path of a
            torch optimizer, which gets ``lr`` and ``weight_decay`` if they are given.
        parameters: of the model.
        options: numbers.
        factors: field of the optimizer -> plan by which it changes.

    Raises:
        UserError: no such class, numbers it needs are missing, two plans, or nothing to
            train.
    """
    trained = [p for p in parameters if p.requires_grad]
    if not trained:
        raise UserError("the model has no parameter to train: all of them are frozen")
    made = OPTIMIZERS.get(name, partial(_plug_in, name))(trained, options)
    if not factors:
        return made
    if made.scheduler is not None:
        raise UserError(f"schedulers: --opt {name} has a plan of its own; use adam")
    return replace(made, scheduler=Schedule(made.optimizer, factors))


def _plug_in(
    path: str, parameters: list[Parameter], options: OptimizerOptions
) -> Optimization:
    """An optimizer of the user's, with the numbers that are given.

    Raises:
        UserError: it is no optimizer, or does not take them.
    """
    from torch.optim import Optimizer

    kind = dynamic_import(path, "opt")
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise UserError(f"opt: '{path}' is no torch.optim.Optimizer")
    given = {"lr": options.lr, "weight_decay": options.weight_decay or None}
    numbers = {key: value for key, value in given.items() if value is not None}
    try:
        return Optimization(kind(parameters, **numbers))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UserError(f"opt: '{path}' cannot be made: {error}") from None
