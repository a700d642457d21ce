"""The processes that train one model together.

Each holds the whole model and a part of every minibatch; DistributedDataParallel
averages their gradients, so that all make the same update. Everything that decides how
training goes on (losses, means of validation, a request to stop) is exchanged, so that
all decide alike. Only the first process writes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from espnet.train.passes import Step

Item = TypeVar("Item")


class Stepped(nn.Module):
    """A model whose ``forward`` takes a minibatch and gives what is made of it."""

    def __init__(self, model: nn.Module, step: Step) -> None:
        super().__init__()
        self.model = model
        self.step = step

    def forward(self, batch: Any) -> Any:
        """See :data:`espnet.train.passes.Step`."""
        return self.step(self.model, batch)


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; by default it is alone.

    Attributes:
        rank: its number, the first is 0.
        size: their number.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def describe(self) -> str:
        """How many there are, for the log; nothing of one alone."""
        if self.size == 1:
            return ""
        return f"processes: {self.size}; train.rank*.log have what the others say"

    def gather(self, item: Item) -> list[Item]:
        """What each process gave, in their order, in all of them."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def from_first(self, item: Item) -> Item:
        """What the first process gave, in all of them."""
        if self.size == 1:
            return item
        items = [item]
        dist.broadcast_object_list(items, src=0)
        return items[0]

    def any(self, flag: bool) -> bool:
        """Whether a process gave True, in all of them."""
        if self.size == 1:
            return flag
        count = torch.tensor(int(flag))
        dist.all_reduce(count)
        return bool(count)

    def parallel(self, stepped: Stepped) -> nn.Module:
        """The model with gradients that are averaged over the processes."""
        if self.size == 1:
            return stepped
        return DistributedDataParallel(
            stepped,
            find_unused_parameters=_may_leave_out(stepped.model),
            gradient_as_bucket_view=True,
        )

    def apart(self, network: nn.Module) -> AbstractContextManager[None]:
        """Gradients of ``backward`` in this context are summed up, not yet averaged."""
        if self.size == 1:
            return nullcontext()
        parallel = cast(DistributedDataParallel, network)
        return cast(AbstractContextManager[None], parallel.no_sync())

    def spread(self, model: nn.Module) -> None:
        """Give all processes the weights of the first."""
        if self.size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)

    def reseed(self, seed: int) -> None:
        """Let each process draw other random numbers; the first, those of one alone."""
        if self.rank:
            own = seed + 7919 * self.rank
            random.seed(own)
            np.random.seed(own % 2**32)
            torch.manual_seed(own)


def _may_leave_out(model: nn.Module) -> bool:
    """Whether some parameters may have no gradient in a step, which costs a search.

    In the toolkit's models that is so with stochastic depth alone; nobody knows of
    plug-ins.
    """
    is_ours = type(model).__module__.startswith("espnet.")
    rates = (getattr(part, "skip_rate", 0.0) for part in model.modules())
    return not is_ours or any(rate > 0.0 for rate in rates)


@dataclass(frozen=True)
class Outcome:
    """What came of the parts of some minibatches in one process, or in all.

    Attributes:
        losses: of each minibatch.
        values: what is reported of each.
        uttids: names of the parts of each.
        is_stopping: the process is asked to end.
    """

    losses: list[float]
    values: list[dict[str, float]]
    uttids: list[tuple[str, ...]]
    is_stopping: bool = False


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcomes of all processes as one.

    Losses and names are those of all parts; of the values, which are of a part but
    divided by counts of the whole, the mean over the parts is taken.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    return Outcome(
        [loss for outcome in outcomes for loss in outcome.losses],
        [mean(values) for values in zip(*(o.values for o in outcomes), strict=True)],
        [names for outcome in outcomes for names in outcome.uttids],
        any(outcome.is_stopping for outcome in outcomes),
    )


def mean(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each value over the parts that have it."""
    names = {name: None for part in parts for name in part}
    found = {name: [part[name] for part in parts if name in part] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}
