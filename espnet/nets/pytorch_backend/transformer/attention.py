"""Multi-headed attention (Vaswani et al., 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.transformer.branches import STEPS, Branches, Choice
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.recording import Recorded


class MultiHeadedAttention(nn.Module, Recorded):
    """Attention of a sequence to itself, or to another one.

    Args:
        heads: H; divides the size.
        size: D.
        dropout_rate: of the weights.
        causal: no position sees a later one.
    """

    def __init__(
        self, heads: int, size: int, dropout_rate: float = 0.0, causal: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.size = size
        self.dropout_rate = dropout_rate
        self.causal = causal
        self.linear_q = nn.Linear(size, size)
        self.linear_k = nn.Linear(size, size)
        self.linear_v = nn.Linear(size, size)
        self.linear_out = nn.Linear(size, size)

    def forward(
        self, xs: Tensor, frames: Frames, memory: Tensor | None = None
    ) -> Tensor:
        """xs (B, L, D) attends to memory (B, T, D), or itself -> (B, L, D).

        ``frames`` describes what is attended to.
        """
        keys, values = self.keys_values(xs if memory is None else memory)
        mask = None if frames.valid is None else frames.valid[:, None, None]
        return self.mix(self.split(self.linear_q(xs)), keys, values, mask)

    def split(self, xs: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D / H)."""
        return xs.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, T, D / H) of what is attended to (B, T, D)."""
        return self.split(self.linear_k(memory)), self.split(self.linear_v(memory))

    def mix(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The values that the queries find.

        Args:
            queries: (B, H, L, D / H).
            keys, values: (B, H, T, D / H).
            mask: broadcasts to (B, H, L, T): bool with True = seen, or what is added to
                the scores; with ``causal`` there is none.

        Returns:
            (B, L, D), behind the output layer.
        """
        if self.recorder is not None:
            mixed = self._mix_openly(queries, keys, values, mask)
        else:
            mixed = F.scaled_dot_product_attention(
                *(queries, keys, values),
                attn_mask=mask,
                dropout_p=self.dropout_rate if self.training else 0.0,
                is_causal=self.causal,
            )
        return self.linear_out(mixed.transpose(1, 2).flatten(2))

    def _mix_openly(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The same, with the weights given to the recorder."""
        scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
        if self.causal:
            mask = torch.ones_like(scores[0, 0], dtype=torch.bool).tril()
        if mask is not None and mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask, -torch.inf)
        elif mask is not None:
            scores = scores + mask
        weights = scores.softmax(-1)
        assert self.recorder is not None
        self.recorder("", weights)
        return F.dropout(weights, self.dropout_rate, self.training) @ values

    # step by step, for a search

    def start(self, like: Tensor, beam: int = 1) -> Tensor:
        """The empty cache of B utterances (B, 2, H, slots, D / H).

        It holds the keys and values of labels: of one hypothesis, or of all branches of
        a beam.

        Args:
            like: (B, ...), whose number format and device the cache has.
            beam: hypotheses per utterance.
        """
        shape = (len(like), 2, self.heads, STEPS * beam, self.size // self.heads)
        return like.new_empty(shape)

    def step(
        self, x: Tensor, cache: Tensor, position: int, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One more label x (N, D), after ``position`` others -> (N, D), the cache.

        The cache is written to, so that of an earlier step cannot be used again. A mask
        (N, 1, 1, position + 1) with True = seen can hide labels.
        """
        ys, cache = self._look_back(x[:, None], cache, position, mask)
        return ys[:, 0], cache

    def extend(
        self, x: Tensor, cache: Tensor, branches: Branches
    ) -> tuple[Tensor, Tensor]:
        """One more label x (N, D) of N = B * beam hypotheses -> (N, D), the cache.

        ``branches`` have its slots. As in ``step``, the cache is written to.
        """
        _, beam, slots = branches.seen.shape
        xs = x.unflatten(0, (-1, beam))
        mask = branches.seen[:, None]
        ys, cache = self._look_back(xs, cache, slots - beam, mask)
        return ys.flatten(0, 1), cache

    def follow(self, cache: Tensor, choice: Choice, beam: int) -> Tensor:
        """The cache of the hypotheses that go on."""
        if choice.utterances is not None:
            cache = cache.index_select(0, choice.utterances)
        if choice.slots is None:
            return cache
        count = choice.slots.shape[1]
        left = cache.new_empty(*cache.shape[:3], count + STEPS * beam, cache.shape[4])
        for one, slots, row in zip(cache, choice.slots, left, strict=True):
            row[:, :, :count] = one.index_select(2, slots)
        return left

    def _look_back(
        self, xs: Tensor, cache: Tensor, filled: int, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Add labels xs (B, K, D) behind ``filled`` slots; they see what the mask (B,
        1, K, slots) shows of all labels -> (B, K, D), the cache."""
        last = filled + xs.shape[1]
        if last > cache.shape[3]:
            cache = torch.cat([cache, torch.empty_like(cache)], 3)
        keys, values = self.keys_values(xs)
        cache[:, 0, :, filled:last] = keys
        cache[:, 1, :, filled:last] = values
        past = cache[:, :, :, :last]
        mixed = F.scaled_dot_product_attention(
            self.split(self.linear_q(xs)), past[:, 0], past[:, 1], mask
        )
        return self.linear_out(mixed.transpose(1, 2).flatten(2)), cache

    def look_up(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """x (N, D) of N = B * beam hypotheses attend to B utterances -> (N, D).

        The beam is the query's length, so that keys and values (B, H, T, D / H) are not
        copied for each hypothesis.
        """
        queries = self.split(self.linear_q(x).unflatten(0, (len(keys), -1)))
        return self.mix(queries, keys, values, mask).flatten(0, 1)
