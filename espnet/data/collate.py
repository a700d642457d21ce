"""Utterances to padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

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
        more: the same as ``xs`` and ``ilens`` for each further input, rows in the same
            order.
        is_empty: the utterances stand for none: the minibatch has fewer of them than
            processes share it.
    """

    uttids: tuple[str, ...]
    xs: Tensor
    ilens: Tensor
    ys: Tensor
    more: tuple[tuple[Tensor, Tensor], ...] = ()
    is_empty: bool = False

    remedy: ClassVar[str] = "lower --batch-size, --batch-bins or --maxlen-in"

    @property
    def inputs(self) -> tuple[Any, Any, Tensor]:
        """What a model's ``forward`` takes; lists where there are several inputs."""
        if not self.more:
            return self.xs, self.ilens, self.ys
        streams = ((self.xs, self.ilens), *self.more)
        return [xs for xs, _ in streams], [ilens for _, ilens in streams], self.ys

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """The batch on a device, features in ``dtype``."""

        def move(tensor: Tensor, kind: torch.dtype | None = None) -> Tensor:
            return tensor.to(device, kind, non_blocking=True)

        return replace(
            self,
            xs=move(self.xs, dtype),
            ilens=move(self.ilens),
            ys=move(self.ys),
            more=tuple((move(xs, dtype), move(ilens)) for xs, ilens in self.more),
        )

    def pin_memory(self) -> Batch:
        """The batch in memory that a GPU can fetch from by itself."""
        return replace(
            self,
            xs=self.xs.pin_memory(),
            ilens=self.ilens.pin_memory(),
            ys=self.ys.pin_memory(),
            more=tuple((xs.pin_memory(), n.pin_memory()) for xs, n in self.more),
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
    *streams: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    subsample: int = 1,
) -> Batch:
    """Pad utterances into one batch, longest first input first.

    Args:
        uttids: their ids.
        streams: for each input of the model an array (T, D) for each utterance.
        labels: an array (L,) of token ids each.
        subsample: keep frames 0, s, 2s, ... of each utterance.
    """
    kept = [[x[::subsample] for x in stream] for stream in streams]
    order = sorted(range(len(uttids)), key=lambda i: -len(kept[0][i]))
    (xs, ilens), *more = (_pad([stream[i] for i in order]) for stream in kept)
    olens = [len(labels[i]) for i in order]
    ys = np.full((len(order), max(olens)), IGNORE_ID, dtype=np.int64)
    for row, i in enumerate(order):
        ys[row, : olens[row]] = labels[i]
    return Batch(
        uttids=tuple(uttids[i] for i in order),
        xs=xs,
        ilens=ilens,
        ys=torch.from_numpy(ys),
        more=tuple(more),
    )


def _pad(features: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """(B, T, D) with zeros behind each length, and the lengths (B,)."""
    lengths = [len(x) for x in features]
    padded = np.zeros((len(features), max(lengths), features[0].shape[1]), np.float32)
    for row, x in zip(padded, features, strict=True):
        row[: len(x)] = x
    return torch.from_numpy(padded), torch.tensor(lengths)
