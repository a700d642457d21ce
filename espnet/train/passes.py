"""Minibatches as the training loop sees them, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor

from espnet.utils.errors import UserError

Reported = dict[str, float | Tensor]


class BatchLike(Protocol):
    """A minibatch of any task.

    Attributes:
        uttids: names of its parts, for messages.
        inputs: what the model takes.
        remedy: what to do if it is too large, for messages.
        is_empty: its utterances do not count: there are fewer than processes.
    """

    @property
    def uttids(self) -> tuple[str, ...]: ...

    @property
    def inputs(self) -> tuple[Tensor, ...]: ...

    @property
    def remedy(self) -> str: ...

    @property
    def is_empty(self) -> bool: ...

    def to(self, device: torch.device, dtype: torch.dtype) -> BatchLike:
        """The batch on a device, numbers with a fraction in ``dtype``."""

    def describe(self) -> str:
        """Sizes and names, for messages."""


class Loader(Protocol):
    """Minibatches, epoch by epoch; see ``espnet.data.dataset.BatchLoader``."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The :class:`BatchLike` of an epoch from the ``start``-th on."""

    def largest(self) -> Iterator[Any]:
        """The few :class:`BatchLike` that need the most memory."""

    def fingerprint(self) -> int:
        """A number that tells other batches or another order of them."""


Step = Callable[[Any, Any], tuple[Tensor, Reported]]


def plain_step(model: Any, batch: BatchLike) -> tuple[Tensor, Reported]:
    """The loss of a model that leaves what it reports in ``reported``."""
    loss: Tensor = model(*batch.inputs)
    return loss.mean(), dict(model.reported)


@dataclass(frozen=True)
class Pass:
    """A minibatch that went through the model."""

    batch: BatchLike
    loss: Tensor
    reported: Reported


def fetch(
    passes: Sequence[Pass], norm: Tensor
) -> tuple[list[float], list[dict[str, float]], float]:
    """Losses, reported values and a norm as numbers, in one transfer.

    All values of an empty part are 0.
    """
    tensors = [norm, *(done.loss for done in passes)]
    tensors += [v for done in passes for v in done.reported.values() if _is_tensor(v)]
    flat = [t.detach().reshape(()).to(norm.device, torch.float64) for t in tensors]
    numbers = iter(torch.stack(flat).tolist())
    norm_value = next(numbers)
    losses = [next(numbers) for _ in passes]
    losses = [_of(done, loss) for done, loss in zip(passes, losses, strict=True)]
    values = [
        {
            name: _of(done, next(numbers) if _is_tensor(value) else float(value))
            for name, value in done.reported.items()
        }
        for done in passes
    ]
    return losses, values, norm_value


def _of(done: Pass, number: float) -> float:
    return 0.0 if done.batch.is_empty else number


def _is_tensor(value: float | Tensor) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor)


@contextmanager
def memory_for(batch: BatchLike) -> Iterator[None]:
    """What is done here is with one minibatch.

    Raises:
        UserError: it does not fit into memory.
    """
    try:
        yield
    except RuntimeError as error:
        is_gpu = isinstance(error, torch.OutOfMemoryError)
        if not is_gpu and "can't allocate memory" not in str(error):
            raise
        raise UserError(
            f"{'GPU ' if is_gpu else ''}memory is exhausted by a minibatch of "
            f"{batch.describe()}; {batch.remedy} (a "
            "higher --accum-grad makes up for it)"
        ) from error
