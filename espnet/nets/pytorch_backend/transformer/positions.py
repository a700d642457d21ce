"""Where in a sequence a frame or label is (Vaswani et al., 2017)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.nets_utils import Dropout

LEGACY_ROWS = 5000  # the length of ESPnet1's table, whose rows legacy models learnt


def sinusoids(positions: Tensor, size: int) -> Tensor:
    """Sines and cosines (P, D) of positions (P,), in turn; always in float32."""
    steps = torch.arange(0, size, 2, dtype=torch.float32, device=positions.device)
    angles = positions.float()[:, None] * torch.exp(steps * (-math.log(1e4) / size))
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


class Positions(nn.Module):
    """x sqrt(D) + the sinusoids of positions 0, 1, ...

    Args:
        size: D, even.
        dropout_rate: of the sum.

    Attributes:
        relative: gives the table of relative attention.
    """

    relative = False

    def __init__(self, size: int, dropout_rate: float = 0.0) -> None:
        super().__init__()
        self.size = size
        self.scale = math.sqrt(size)
        self.dropout = Dropout(dropout_rate)
        self._count = 0
        self._table = torch.empty(0)  # no buffer: its length differs between processes
        self.register_load_state_dict_pre_hook(_drop_table)

    def forward(self, xs: Tensor, start: int = 0) -> tuple[Tensor, Tensor | None]:
        """xs (B, T, D), the first frame being number ``start`` -> the same with
        positions, and the table that relative attention needs, else None."""
        rows = self.table(start + xs.shape[1], xs)[start : start + xs.shape[1]]
        return self.dropout(xs * self.scale + rows), None

    def table(self, count: int, like: Tensor) -> Tensor:
        """Sinusoids for ``count`` frames or more; computed when first needed."""
        known = self._table.device == like.device and self._table.dtype == like.dtype
        if not known or self._count < count:
            self._count = max(256, 1 << (count - 1).bit_length())
            with torch.inference_mode(False), torch.no_grad():
                positions = self.positions(self._count).to(like.device)
                self._table = sinusoids(positions, self.size).to(like.dtype)
        return self._table

    def positions(self, count: int) -> Tensor:
        """The positions that a table for ``count`` frames holds (P,)."""
        return torch.arange(count)


class ScaledPositions(Positions):
    """x + alpha times the sinusoids of positions; alpha is learnt (Li et al., 2019)."""

    def __init__(self, size: int, dropout_rate: float = 0.0) -> None:
        super().__init__(size, dropout_rate)
        self.alpha = nn.Parameter(torch.tensor(1.0))

    def forward(self, xs: Tensor, start: int = 0) -> tuple[Tensor, Tensor | None]:
        """See :class:`Positions`."""
        rows = self.table(start + xs.shape[1], xs)[start : start + xs.shape[1]]
        return self.dropout(xs + self.alpha * rows), None


class RelativePositions(Positions):
    """x sqrt(D), and a table for relative attention (Dai et al., 2019).

    Row k of the table (2 T - 1, D) belongs to the distance T - 1 - k from query to key.
    """

    relative = True

    def forward(self, xs: Tensor, start: int = 0) -> tuple[Tensor, Tensor | None]:
        """See :class:`Positions`; ``start`` makes no difference."""
        count = xs.shape[1]
        table = self.table(count, xs)
        middle = len(table) // 2
        rows = table[middle - count + 1 : middle + count]
        return self.dropout(xs * self.scale), self.dropout(rows)

    def positions(self, count: int) -> Tensor:
        """See :class:`Positions`."""
        return torch.arange(count - 1, -count, -1)


class LegacyPositions(Positions):
    """The table (T, D) of ESPnet1's ``rel_pos_type`` legacy.

    Row k is the sinusoid of position 4999 - k: the models were trained with the wrong
    end of a table of 5000 rows. Beyond 5000 frames it is T - 1 - k.
    """

    relative = True

    def forward(self, xs: Tensor, start: int = 0) -> tuple[Tensor, Tensor | None]:
        """See :class:`Positions`; ``start`` makes no difference."""
        count = xs.shape[1]
        if count <= LEGACY_ROWS:
            rows = self.table(count, xs)[:count]
        else:
            positions = torch.arange(count - 1, -1, -1, device=xs.device)
            rows = sinusoids(positions, self.size).to(xs.dtype)
        return self.dropout(xs * self.scale), self.dropout(rows)

    def positions(self, count: int) -> Tensor:
        """See :class:`Positions`."""
        return torch.arange(LEGACY_ROWS - 1, -1, -1)[:count]


POSITIONS: dict[str, type[Positions]] = {
    "abs_pos": Positions,
    "scaled_abs_pos": ScaledPositions,
    "rel_pos": RelativePositions,
    "legacy_rel_pos": LegacyPositions,
}


def _drop_table(
    module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any
) -> None:
    """Old models of ESPnet1 stored the table."""
    state.pop(prefix + "pe", None)
