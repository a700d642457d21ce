"""Average weights over the files of several epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from espnet.train.weights import read_weights
from espnet.utils.errors import UserError


def average(paths: Sequence[str | Path], trust: bool = False) -> dict[str, Tensor]:
    """The mean of each parameter over files of weights; of whole numbers its floor.

    Args:
        paths: snapshots or files of weights, at least one.
        trust: unpickle old files that hold more than tensors, which can run any code.

    Raises:
        UserError: a file cannot be read, or holds other parameters than the first.
    """
    sums: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    for path in paths:
        weights = read_weights(path, trust, "wanted are snapshots of one training")
        if not sums:
            dtypes = {name: value.dtype for name, value in weights.items()}
            sums = {name: _wide(value) for name, value in weights.items()}
            continue
        _check_same(sums, weights, path, paths[0])
        for name, value in weights.items():
            sums[name] += _wide(value)
    for name, total in sums.items():
        exact = total.is_floating_point() or total.is_complex()
        mean = total / len(paths) if exact else total // len(paths)
        sums[name] = mean.to(dtypes[name])
    return sums


def _wide(value: Tensor) -> Tensor:
    """A copy in the widest type of its kind, for a sum."""
    if value.is_complex():
        return value.to(torch.complex128, copy=True)
    wide = torch.float64 if value.is_floating_point() else torch.int64
    return value.to(wide, copy=True)


def _check_same(
    sums: dict[str, Tensor], weights: dict[str, Tensor], path: object, first: object
) -> None:
    for name in [*sums, *weights]:
        if name not in weights or name not in sums:
            where = path if name in weights else first
            raise UserError(
                f"{path}: is of another model than {first}: parameter '{name}' is only "
                f"in {where}"
            )
        if sums[name].shape != weights[name].shape:
            raise UserError(
                f"{path}: is of another model than {first}: parameter '{name}' has "
                f"shape {tuple(weights[name].shape)}, there {tuple(sums[name].shape)}"
            )
