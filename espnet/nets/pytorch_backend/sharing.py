"""Minibatches whose utterances several processes share.

Training in several processes averages their gradients. For that to be the gradient of
the whole minibatch, a loss has to be divided by the counts of the whole: each process
divides what it sums up by :func:`shared_count`. A model that does not, such as a
plug-in, is trained on the mean of the means of the parts. Outside :func:`sharing`, as
in a single process, counts are what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor, nn

Count = TypeVar("Count", int, Tensor)


@dataclass(frozen=True)
class _Share:
    """One of ``size`` parts; an empty one holds an utterance that does not count."""

    size: int
    is_empty: bool


# of the minibatch at hand; not a ContextVar, where torch.compile would split models
_share: _Share | None = None


@contextmanager
def sharing(size: int, is_empty: bool = False) -> Iterator[None]:
    """What is computed is of a part of a minibatch; all processes do the same.

    Args:
        size: processes that share it; with 1 nothing is shared.
        is_empty: the utterances of this part do not count.
    """
    global _share
    before = _share
    _share = _Share(size, is_empty) if size > 1 else None
    try:
        yield
    finally:
        _share = before


def parts() -> int:
    """Processes that share the minibatch."""
    return _share.size if _share is not None else 1


def shared_sum(values: Tensor) -> Tensor:
    """The sum over all parts of a minibatch, without a gradient."""
    share = _share
    if share is None:
        return values
    total = torch.zeros_like(values) if share.is_empty else values.detach().clone()
    dist.all_reduce(total)
    return total


def shared_count(count: Count) -> Count | float:
    """The count over all parts by their number: what to divide the sum of a part by.

    The mean over the parts of these quotients is the mean over the whole.
    """
    share = _share
    if share is None:
        return count
    if isinstance(count, Tensor):
        return shared_sum(count) / share.size
    return float(shared_sum(torch.tensor(count))) / share.size


def shared_draw(number: Tensor) -> Tensor:
    """The random number of the first process, for a decision that all must share."""
    if _share is not None:
        dist.broadcast(number, src=0)
    return number


def batch_norm(norm: nn.BatchNorm1d, rows: Tensor) -> Tensor:
    """A batch norm in training mode over rows (N, D) of all parts together.

    Does what ``SyncBatchNorm`` does on GPUs, on the CPU too.
    """
    share = _share
    if share is None:
        return norm(rows)
    exact = rows.to(torch.promote_types(rows.dtype, torch.float32))
    weight = 0.0 if share.is_empty else 1.0
    total = torch.cat([exact.sum(0), exact.new_tensor([float(len(rows))])]) * weight
    total = differentiable.all_reduce(total)
    count = total[-1].detach()
    mean = total[:-1] / count
    centred = exact - mean
    variance = differentiable.all_reduce(centred.square().sum(0) * weight) / count
    _track(norm, mean.detach(), (variance * count / (count - 1).clamp(min=1)).detach())
    scaled = centred * (variance + norm.eps).rsqrt()
    return (scaled * norm.weight + norm.bias).to(rows.dtype)


@torch.no_grad()
def _track(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics, as torch does."""
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    momentum = norm.momentum
    if momentum is None:  # the plain mean over all batches
        momentum = 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), momentum)
