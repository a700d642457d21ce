"""What the layers of a Transformer know of the sequences in a padded batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from espnet.nets.pytorch_backend.nets_utils import make_pad_mask


@dataclass(frozen=True)
class Frames:
    """A batch of sequences.

    Attributes:
        lengths: valid frames (B,), on the CPU where that is possible.
        valid: (B, T) with True = a frame before the end; None: all are.
        positions: the table of relative attention (P, D), if there is one; (B, P, D) if
            utterances have tables of their own.
    """

    lengths: Tensor
    valid: Tensor | None = None
    positions: Tensor | None = None

    @classmethod
    def of(cls, xs: Tensor, lengths: Tensor, positions: Tensor | None = None) -> Frames:
        """Those of xs (B, T, ...) with lengths (B,)."""
        valid = None
        if int(lengths.min()) < xs.shape[1]:
            padding = make_pad_mask(lengths, xs.shape[1])
            valid = (~padding).to(xs.device, non_blocking=True)
        return cls(lengths, valid, positions)

    def zero(self, xs: Tensor) -> Tensor:
        """xs (B, T, D) with zeros behind each end."""
        if self.valid is None:
            return xs
        return xs.masked_fill(~self.valid[:, :, None], 0.0)

    def places(self, device: torch.device) -> Tensor:
        """The numbers of the valid frames among all B T of them, if some are not valid.

        They come of the lengths, so that a GPU is not waited for.
        """
        return self._places.to(device, non_blocking=True)

    @cached_property
    def _places(self) -> Tensor:
        assert self.valid is not None
        padding = make_pad_mask(self.lengths, self.valid.shape[1])
        return (~padding).flatten().nonzero()[:, 0]
