"""What came of minibatches that went through a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor

from espnet.data.collate import Batch
from espnet.utils.errors import UserError


@dataclass(frozen=True)
class Pass:
    """A minibatch that went through the model."""

    batch: Batch
    loss: Tensor
    reported: dict[str, float | Tensor]


def reported_by(model: Any) -> dict[str, float | Tensor]:
    """What a model reports of its last forward pass."""
    return dict(model.reported)


def fetch(
    passes: Sequence[Pass], norm: Tensor
) -> tuple[list[float], list[dict[str, float]], float]:
    """Losses, reported values and a norm as numbers, in one transfer."""
    tensors = [norm, *(done.loss for done in passes)]
    tensors += [v for done in passes for v in done.reported.values() if _is_tensor(v)]
    flat = [t.detach().reshape(()).to(norm.device, torch.float64) for t in tensors]
    numbers = iter(torch.stack(flat).tolist())
    norm_value = next(numbers)
    losses = [next(numbers) for _ in passes]
    values = [
        {
            name: next(numbers) if _is_tensor(value) else float(value)
            for name, value in done.reported.items()
        }
        for done in passes
    ]
    return losses, values, norm_value


def _is_tensor(value: float | Tensor) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor)


def out_of_memory(batch: Batch) -> UserError:
    """The error that says which minibatch was too large."""
    return UserError(
        f"GPU memory is exhausted by a minibatch of {batch.describe()}; lower "
        "--batch-size, --batch-bins or --maxlen-in, or raise --accum-grad instead"
    )
