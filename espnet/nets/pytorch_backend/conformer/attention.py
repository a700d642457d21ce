"""Attention that knows distances (Dai et al., "Transformer-XL", 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.frames import Frames


class RelativeAttention(MultiHeadedAttention):
    """Self-attention whose scores depend on the distance of query and key too.

    Args:
        heads: H; divides the size.
        size: D.
        dropout_rate: of the weights.
        zero_triu: no position scores for frames to come.
        legacy: positions as in ESPnet1's ``rel_pos_type`` legacy; frames to come then
            get position scores that belong to another query and distance.
    """

    def __init__(
        self,
        heads: int,
        size: int,
        dropout_rate: float = 0.0,
        zero_triu: bool = False,
        legacy: bool = False,
    ) -> None:
        super().__init__(heads, size, dropout_rate)
        self.zero_triu = zero_triu
        self.legacy = legacy
        self.linear_pos = Linear(size, size, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(heads, size // heads))
        self.pos_bias_v = nn.Parameter(torch.empty(heads, size // heads))
        nn.init.xavier_uniform_(self.pos_bias_u)
        nn.init.xavier_uniform_(self.pos_bias_v)

    def forward(
        self, xs: Tensor, frames: Frames, memory: Tensor | None = None
    ) -> Tensor:
        """xs (B, T, D) attends to itself -> (B, T, D); ``frames`` has positions."""
        assert frames.positions is not None and memory is None
        queries, keys, values = map(self.split, self.apart(xs))
        by_content = queries + self.pos_bias_u[:, None]
        # scaled here, where there are fewer numbers than scores
        by_position = (queries + self.pos_bias_v[:, None]) * queries.shape[-1] ** -0.5
        positions = frames.positions.view(-1, *frames.positions.shape[-2:])
        table = self.split(self.linear_pos(positions))  # (1 or B, H, P, D / H)
        if not (xs.is_cuda or torch.is_grad_enabled() or self.legacy or self.recorder):
            found = (by_content, by_position, keys, values)
            return self._mix_alone(*found, table.expand(len(xs), -1, -1, -1), frames)
        scores = by_position @ table.mT  # (B, H, T, P)
        scores = legacy_shift(scores, frames) if self.legacy else shift(scores)
        if self.zero_triu:
            scores = scores.tril()
        if frames.valid is not None:
            scores = scores.masked_fill(~frames.valid[:, None, None], -torch.inf)
        return self.mix(by_content, keys, values, scores)

    def _mix_alone(
        self,
        by_content: Tensor,
        by_position: Tensor,
        keys: Tensor,
        values: Tensor,
        table: Tensor,
        frames: Frames,
    ) -> Tensor:
        """Each utterance without its padding, whose scores then fit into the cache.

        Args:
            by_content, by_position: queries (B, H, T, D / H), the latter scaled.
            keys, values: (B, H, T, D / H).
            table: (B, H, P, D / H).
            frames: lengths of the utterances.

        Returns:
            (B, T, D), behind the output layer.
        """
        batch, heads, count, width = keys.shape
        mixed = keys.new_zeros(batch, count, heads, width)
        for row, length in enumerate(frames.lengths.tolist()):
            u, v, ks, vs = (
                part[row, :, :length]
                for part in (by_content, by_position, keys, values)
            )
            near = table[row, :, count - length : count + length - 1]
            scores = shift(v @ near.mT)
            if self.zero_triu:
                scores = scores.tril()
            scores = torch.baddbmm(scores, u, ks.mT, alpha=width**-0.5)
            mixed[row, :length] = (scores.softmax(-1) @ vs).transpose(0, 1)
        return self.linear_out(mixed.flatten(2))


def shift(scores: Tensor) -> Tensor:
    """(..., T, 2 T - 1), column k for the distance T - 1 - k from query to key ->
    (..., T, T), column j for key j."""
    length = scores.shape[-2]
    if length == 1:
        return scores
    # in rows that are one column shorter, row i begins i columns further left
    rows = scores.flatten(-2)[..., length - 1 : -1].unflatten(-1, (length, -1))
    return rows[..., :length]


def legacy_shift(scores: Tensor, frames: Frames) -> Tensor:
    """(B, H, T, T) with columns as in ESPnet1's table -> column j for key j.

    Query i finds key j <= i in its column l - 1 - i + j, where l is the utterance's
    length, and key j > i + 1 in column j - i - 2 of query i + 1; key i + 1 gets 0.
    ESPnet1 took the longest utterance's length for l in the whole batch.
    """
    length = scores.shape[2]
    padded = F.pad(scores, (1, 0)).flatten(2)
    shifted = padded[..., length:].view_as(scores)
    if frames.valid is None:
        return shifted
    steps = torch.arange(length, device=scores.device)
    lengths = frames.lengths.to(scores.device)[:, None, None]
    columns = (lengths - 1 - steps[:, None] + steps).clamp(0, length - 1)
    before = scores.gather(3, columns[:, None].expand_as(scores))
    return torch.where(steps[:, None] >= steps, before, shifted)
