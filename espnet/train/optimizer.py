"""Optimizers by name. Imports torch only when one is built: options list the names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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
        eps: Adadelta's term against division by zero.
        weight_decay: of Adadelta and Adam.
        noam_factor: factor on noam's learning rate.
        noam_dim: model dimension in noam's learning rate.
        noam_warmup: updates until noam's learning rate falls.
    """

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


def _adadelta(parameters: list[Parameter], options: OptimizerOptions) -> Optimization:
    """Zeiler 2012, arXiv:1212.5701."""
    from torch.optim import Adadelta

    optimizer = Adadelta(
        parameters,
        lr=1.0,
        rho=0.95,
        eps=options.eps,
        weight_decay=options.weight_decay,
    )
    return Optimization(optimizer, has_eps_decay=True)


def _adam(parameters: list[Parameter], options: OptimizerOptions) -> Optimization:
    """Kingma and Ba 2015, arXiv:1412.6980."""
    from torch.optim import Adam

    return Optimization(
        Adam(parameters, lr=1e-3, weight_decay=options.weight_decay, fused=True)
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
    if factor is None or dim is None or warmup is None or min(dim, warmup) <= 0:
        raise UserError(
            "opt: noam needs a model with a learning-rate plan (transformer-lr, "
            "transformer-warmup-steps, adim); for this model use adadelta or adam"
        )
    adam = Adam(parameters, lr=1.0, betas=(0.9, 0.98), eps=1e-9, fused=True)
    plan = LambdaLR(adam, lambda done: noam_rate(done + 1, factor, dim, warmup))
    return Optimization(adam, plan)


OPTIMIZERS: dict[str, Callable[[list[Parameter], OptimizerOptions], Optimization]] = {
    "adadelta": _adadelta,
    "adam": _adam,
    "noam": _noam,
}


def make_optimizer(
    name: str, parameters: Iterable[Parameter], options: OptimizerOptions
) -> Optimization:
    """Build the optimizer ``name`` for those parameters that are trained.

    Raises:
        UserError: unknown name, numbers it needs are missing, or nothing to train.
    """
    if name not in OPTIMIZERS:
        raise UserError(one_of("opt", name, OPTIMIZERS))
    trained = [p for p in parameters if p.requires_grad]
    if not trained:
        raise UserError("the model has no parameter to train: all of them are frozen")
    return OPTIMIZERS[name](trained, options)
