"""Utterances to padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

IGNORE_ID = -1  # pads labels


@dataclass(frozen=True)
class Batch:
    """A minibatch, longest input first.

    Attributes:
        uttids: B utterance ids.
        xs: features (B, T, D), zeros behind each length.
        ilens: valid frames (B,).
        ys: labels (B, L), padded with -1.
    """

    uttids: tuple[str, ...]
    xs: Tensor
    ilens: Tensor
    ys: Tensor

    remedy: ClassVar[str] = "lower --batch-size, --batch-bins or --maxlen-in"

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What a model's ``forward`` takes."""
        return self.xs, self.ilens, self.ys

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """The batch on a device, features in ``dtype``."""
        return replace(
            self,
            xs=self.xs.to(device, dtype, non_blocking=True),
            ilens=self.ilens.to(device, non_blocking=True),
            ys=self.ys.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """The batch in memory that a GPU can fetch from by itself."""
        return replace(
            self,
            xs=self.xs.pin_memory(),
            ilens=self.ilens.pin_memory(),
            ys=self.ys.pin_memory(),
        )

    def describe(self) -> str:
        """Sizes and ids, for messages."""
        shown = ", ".join(self.uttids[:5]) + (", ..." if len(self.uttids) > 5 else "")
        return (
            f"{len(self.uttids)} utterances of up to {self.xs.shape[1]} frames and "
            f"{self.ys.shape[1]} labels: {shown}"
        )


def collate(
    uttids: Sequence[str],
    features: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    subsample: int = 1,
) -> Batch:
    """Pad utterances into one batch, longest input first.

    Args:
        uttids: their ids.
        features: an array (T, D) each.
        labels: an array (L,) of token ids each.
        subsample: keep frames 0, s, 2s, ... of each utterance.
    """
    features = [x[::subsample] for x in features]
    order = sorted(range(len(features)), key=lambda i: -len(features[i]))
    ilens = [len(features[i]) for i in order]
    olens = [len(labels[i]) for i in order]
    xs = np.zeros((len(order), ilens[0], features[0].shape[1]), dtype=np.float32)
    ys = np.full((len(order), max(olens)), IGNORE_ID, dtype=np.int64)
    for row, i in enumerate(order):
        xs[row, : ilens[row]] = features[i]
        ys[row, : olens[row]] = labels[i]
    return Batch(
        uttids=tuple(uttids[i] for i in order),
        xs=torch.from_numpy(xs),
        ilens=torch.tensor(ilens),
        ys=torch.from_numpy(ys),
    )
