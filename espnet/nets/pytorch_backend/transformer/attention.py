"""Multi-headed attention (Vaswani et al., 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import Dropout
from espnet.nets.pytorch_backend.packing import Joining
from espnet.nets.pytorch_backend.transformer.branches import STEPS, Branches, Choice
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.recording import Recorded


class MultiHeadedAttention(nn.Module, Recorded, Joining):
    """Attention of a sequence to itself, or to another one.

    Args:
        heads: H; divides the size.
        size: D.
        dropout_rate: of the weights.
        causal: no position sees a later one.
    """

    together = ("linear_q", "linear_k", "linear_v")

    def __init__(
        self, heads: int, size: int, dropout_rate: float = 0.0, causal: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.size = size
        self.dropout = Dropout(dropout_rate)
        self.causal = causal
        self.linear_q = Linear(size, size)
        self.linear_k = Linear(size, size)
        self.linear_v = Linear(size, size)
        self.linear_out = Linear(size, size)

    def forward(
        self, xs: Tensor, frames: Frames, memory: Tensor | None = None
    ) -> Tensor:
        """xs (B, L, D) attends to memory (B, T, D), or itself -> (B, L, D).

        ``frames`` describes what is attended to.
        """
        if memory is None:
            queries, keys, values = map(self.split, self.apart(xs))
        else:
            queries = self.split(self.linear_q(xs))
            keys, values = self.keys_values(memory)
        mask = None if frames.valid is None else frames.valid[:, None, None]
        return self.mix(queries, keys, values, mask)

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
        drops = self.training and self.dropout.p > 0.0
        if self.recorder is not None or (drops and not queries.is_cuda):
            mixed = self._mix_openly(queries, keys, values, mask)
        else:
            mixed = F.scaled_dot_product_attention(
                *(queries, keys, values),
                attn_mask=mask,
                dropout_p=self.dropout.p if drops else 0.0,
                is_causal=self.causal,
            )
        return self.linear_out(mixed.transpose(1, 2).flatten(2))

    def _mix_openly(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The same, with the weights given to the recorder.

        With dropout it is what torch's attention does on the CPU, but draws faster.
        """
        scores = queries * queries.shape[-1] ** -0.5 @ keys.mT
        if self.causal:
            mask = torch.ones_like(scores[0, 0], dtype=torch.bool).tril()
        if mask is not None and mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask, -torch.inf)
        elif mask is not None:
            scores = scores + mask
        weights = scores.softmax(-1)
        if self.recorder is not None:
            self.recorder("", weights)
        return self.dropout(weights) @ values

    # step by step, for a search

    def start(self, like: Tensor, beam: int = 1) -> Tensor:
        """The empty cache of B utterances (B, H, 2, slots, D / H).

        It holds the keys and values of labels: of one hypothesis, or of all branches of
        a beam.

        Args:
            like: (B, ...), whose number format and device the cache has.
            beam: hypotheses per utterance.
        """
        shape = (len(like), self.heads, 2, STEPS * beam, self.size // self.heads)
        return like.new_empty(shape)

    def step(
        self, x: Tensor, cache: Tensor, position: int, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One more label x (N, D), after ``position`` others -> (N, D), the cache.

        The cache is written to, so that of an earlier step cannot be used again. A mask
        (N, 1, 1, position + 1) with True = seen can hide labels.
        """
        queries, cache, past = self._remember(x[:, None], cache, position)
        mixed = F.scaled_dot_product_attention(queries, *past, mask)
        return self.linear_out(mixed.flatten(1)), cache

    def extend(
        self, x: Tensor, cache: Tensor, branches: Branches
    ) -> tuple[Tensor, Tensor]:
        """One more label x (N, D) of N = B * beam hypotheses -> (N, D), the cache.

        ``branches`` have its slots. As in ``step``, the cache is written to.
        """
        _, beam, slots = branches.seen.shape
        xs = x.view(-1, beam, self.size)
        queries, cache, past = self._remember(xs, cache, slots - beam)
        return self._look_up(queries, *past, branches.mask.to(x.dtype)), cache

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

    def _remember(
        self, xs: Tensor, cache: Tensor, filled: int
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Put labels xs (B, K, D) behind ``filled`` slots.

        Returns:
            Their queries (B, H, K, D / H), the cache, and the keys and values (B, H,
            filled + K, D / H) of all labels.
        """
        last = filled + xs.shape[1]
        if last > cache.shape[3]:
            cache = torch.cat([cache, torch.empty_like(cache)], 3)
        queries, keys, values = map(self.split, self.apart(xs))
        cache[:, :, 0, filled:last] = keys
        cache[:, :, 1, filled:last] = values
        return queries, cache, (cache[:, :, 0, :last], cache[:, :, 1, :last])

    def look_up(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """x (N, D) of N = B * beam hypotheses attend to B utterances -> (N, D).

        The beam is the query's length, so that keys and values (B, H, T, D / H) are not
        copied for each hypothesis.

        Args:
            mask: what is added to scores, broadcasts to (B, 1, beam, T).
        """
        queries = self.linear_q(x).view(len(keys), -1, self.size)
        return self._look_up(self.split(queries), keys, values, mask)

    def _look_up(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The same for queries (B, H, beam, D / H)."""
        mixed = attend(queries, keys, values, mask)
        return self.linear_out(mixed.transpose(1, 2).reshape(-1, self.size))


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
) -> Tensor:
    """What a few queries (B, H, L, d) find among values (B, H, T, d) -> (B, H, L, d).

    It is what torch's attention gives. On the CPU two products of all heads take two
    cores two thirds of its time.

    Args:
        mask: what is added to scores, broadcasts to (B, 1, L, T).
    """
    if queries.is_cuda:
        return F.scaled_dot_product_attention(queries, keys, values, mask)
    q, k, v = (part.flatten(0, 1) for part in (queries, keys, values))
    nothing, scale = q.new_empty(1, 1, 1), q.shape[-1] ** -0.5
    scores = torch.baddbmm(nothing, q, k.mT, beta=0.0, alpha=scale)
    if mask is not None:
        scores.view(len(mask), -1, *scores.shape[1:]).add_(mask)
    return (scores.softmax(-1) @ v).view(queries.shape)
