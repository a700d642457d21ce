"""The blocks of Transformer encoders and decoders, normalised before each part."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.nets_utils import Dropout
from espnet.nets.pytorch_backend.sharing import shared_draw
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.branches import Branches
from espnet.nets.pytorch_backend.transformer.feed_forward import FeedForward
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.mixers import Mixer

NORM_EPS = 1e-12


def layer_norm(size: int) -> nn.LayerNorm:
    """The normalisation of blocks, whose epsilon is not torch's default."""
    return nn.LayerNorm(size, eps=NORM_EPS)


def stochastic_depth(rate: float, training: bool) -> float:
    """The factor on a block's branches: 0 leaves it out (Huang et al., 2016).

    The number comes from torch's generator of the CPU, which snapshots hold.
    """
    if not training or rate == 0.0:
        return 1.0
    skipped = float(shared_draw(torch.rand((), device="cpu"))) < rate
    return 0.0 if skipped else 1.0 / (1.0 - rate)


class EncoderLayer(nn.Module):
    """Self-attention, or what replaces it, and a feed-forward layer.

    Args:
        size: D.
        self_attn, feed_forward: the parts.
        dropout_rate: of each part's output.
        skip_rate: probability that training leaves the block out.
    """

    def __init__(
        self,
        size: int,
        self_attn: Mixer,
        feed_forward: FeedForward,
        dropout_rate: float,
        skip_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.self_attn = self_attn
        self.feed_forward = feed_forward
        self.norm1 = layer_norm(size)
        self.norm2 = layer_norm(size)
        self.dropout = Dropout(dropout_rate)
        self.skip_rate = skip_rate

    def forward(self, xs: Tensor, frames: Frames) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        scale = stochastic_depth(self.skip_rate, self.training)
        if scale == 0.0:
            return xs
        branch = self.dropout(self.self_attn(self.norm1(xs), frames))
        xs = torch.add(xs, branch, alpha=scale)
        branch = self.dropout(self.feed_forward(self.norm2(xs)))
        return torch.add(xs, branch, alpha=scale)


class DecoderLayer(nn.Module):
    """Self-attention over labels, attention to the encoder, a feed-forward layer.

    Args:
        size: D.
        self_attn, src_attn, feed_forward: the parts.
        dropout_rate: of each part's output.
    """

    def __init__(
        self,
        size: int,
        self_attn: Mixer,
        src_attn: MultiHeadedAttention,
        feed_forward: FeedForward,
        dropout_rate: float,
    ) -> None:
        super().__init__()
        self.self_attn = self_attn
        self.src_attn = src_attn
        self.feed_forward = feed_forward
        self.norm1 = layer_norm(size)
        self.norm2 = layer_norm(size)
        self.norm3 = layer_norm(size)
        self.dropout = Dropout(dropout_rate)

    def forward(
        self, ys: Tensor, labels: Frames, memory: Tensor, frames: Frames
    ) -> Tensor:
        """Labels ys (B, U, D) and encoder output memory (B, T, D) -> (B, U, D)."""
        ys = ys + self.dropout(self.self_attn(self.norm1(ys), labels))
        ys = ys + self.dropout(self.src_attn(self.norm2(ys), frames, memory))
        return ys + self.dropout(self.feed_forward(self.norm3(ys)))

    def step(
        self,
        y: Tensor,
        cache: Tensor,
        branches: Branches,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """One more label y (N, D), in evaluation.

        Args:
            y: of N = B * beam hypotheses.
            cache: of ``self_attn``.
            branches: the labels so far, this one included.
            keys, values: of ``src_attn`` (B, H, T, D / H).
            mask: what is added to the scores of frames (B, 1, 1, T), or None.

        Returns:
            (N, D) and the next cache.
        """
        mixed, cache = self.self_attn.extend(self.norm1(y), cache, branches)
        y = y + mixed
        y = y + self.src_attn.look_up(self.norm2(y), keys, values, mask)
        return y + self.feed_forward(self.norm3(y)), cache
