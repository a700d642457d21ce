"""Light and dynamic convolutions in place of self-attention.

Wu et al., "Pay less attention with lightweight and dynamic convolutions", 2019; the
two-dimensional forms, which also convolve along the features of a frame: Fujita et al.,
"Attention-based ASR with lightweight and dynamic convolutions", 2020.

Frames behind an utterance's end count as absent here, as if it were alone; ESPnet1 let
them leak in.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import convolve1d
from espnet.nets.pytorch_backend.transformer.branches import Branches, Choice
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.recording import Recorded


class Remembering:
    """A convolution over labels that arrive one by one: it keeps the last P of them.

    Attributes:
        past: P.
        size: channels C.
        linear1: the gated layer before the convolution.
    """

    past: int
    size: int
    linear1: nn.Linear

    def start(self, like: Tensor, beam: int = 1) -> Tensor:
        """What N = B * beam hypotheses keep of their past (N, P, C).

        Args:
            like: (B, ...), whose number format and device it has.
            beam: hypotheses per utterance.
        """
        return like.new_zeros(len(like) * beam, self.past, self.size)

    def follow(self, cache: Tensor, choice: Choice, beam: int) -> Tensor:
        """The cache of the hypotheses that go on."""
        return cache.index_select(0, choice.rows)

    def read(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """A label x (N, C), gated, and the frames that end with it (N, P + 1, C)."""
        x = F.glu(self.linear1(x), -1)
        return x, torch.cat([cache, x[:, None]], 1)


class LightConvolution(nn.Module, Remembering):
    """Each of ``wshare`` softmaxed kernels, at every frame the same, serves C / wshare
    channels: channel c has kernel c mod wshare.

    Args:
        wshare: number of kernels H; divides the size.
        size: channels C.
        kernel: length in frames, odd.
        dropout_rate: of the kernels.
        use_bias: add a bias behind the convolution.
        causal: no frame sees a later one.
        frequency: convolve along the features of each frame too.
    """

    def __init__(
        self,
        wshare: int,
        size: int,
        kernel: int,
        dropout_rate: float = 0.0,
        use_bias: bool = False,
        causal: bool = False,
        frequency: bool = False,
    ) -> None:
        super().__init__()
        self.dropout_rate = dropout_rate
        self.causal = causal
        self.past = kernel // 2
        self.size = size
        self.weight = nn.Parameter(torch.rand(wshare, 1, kernel))
        self.weight_f = nn.Parameter(torch.rand(1, 1, kernel)) if frequency else None
        self.bias = nn.Parameter(torch.zeros(size)) if use_bias else None
        self.linear1 = Linear(size, 2 * size)
        self.linear2 = Linear((1 + frequency) * size, size)

    def forward(self, xs: Tensor, frames: Frames) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        xs = frames.zero(F.glu(self.linear1(xs), -1))
        kernels = self._kernels(xs.shape[2])
        padded = F.pad(xs, (0, 0, self.past, 0 if self.causal else self.past))
        ys = convolve1d(padded, kernels, self.bias, groups=len(kernels))
        return self._finish(xs, ys)

    def extend(
        self, x: Tensor, cache: Tensor, branches: Branches
    ) -> tuple[Tensor, Tensor]:
        """One more label x (N, C), counted already -> (N, C), the cache."""
        x, window = self.read(x, cache)
        y = (window * self._kernels(x.shape[1])[:, 0].T).sum(1)
        if self.bias is not None:
            y = y + self.bias
        return self._finish(x[:, None], y[:, None])[:, 0], window[:, 1:]

    def _kernels(self, size: int) -> Tensor:
        """The kernel of each channel (C, 1, k), its future cut off if ``causal``."""
        weight = F.dropout(self.weight, self.dropout_rate, self.training)
        if self.causal:
            weight = weight[..., : self.past + 1]
        return weight.softmax(-1).repeat(size // len(weight), 1, 1)

    def _finish(self, xs: Tensor, ys: Tensor) -> Tensor:
        """Add the convolution of xs (B, T, C) along the features; the last layer."""
        if self.weight_f is not None:
            kernel = F.dropout(
                self.weight_f.softmax(-1), self.dropout_rate, self.training
            )
            along = F.conv1d(
                xs.flatten(0, 1)[:, None], kernel, padding=kernel.shape[-1] // 2
            )
            ys = torch.cat([ys, along[:, 0].unflatten(0, xs.shape[:2])], -1)
        return self.linear2(ys)


class DynamicConvolution(nn.Module, Recorded, Remembering):
    """As a light convolution, but each frame computes its own kernels.

    A kernel is softmaxed over those of its frames that exist. Channels of a kernel are
    neighbours here.

    Args:
        wshare: number of kernels H; divides the size.
        size: channels C.
        kernel: length in frames, odd.
        dropout_rate: of the kernels before the softmax.
        use_bias: add a bias behind the convolution.
        causal: no frame sees a later one.
        frequency: convolve along the features of each frame too.
    """

    def __init__(
        self,
        wshare: int,
        size: int,
        kernel: int,
        dropout_rate: float = 0.0,
        use_bias: bool = False,
        causal: bool = False,
        frequency: bool = False,
    ) -> None:
        super().__init__()
        self.heads = wshare
        self.dropout_rate = dropout_rate
        self.causal = causal
        self.past = kernel // 2
        self.size = size
        self.bias = nn.Parameter(torch.zeros(size)) if use_bias else None
        self.linear1 = Linear(size, 2 * size)
        self.linear2 = Linear((1 + frequency) * size, size)
        self.linear_weight = Linear(size, wshare * kernel)
        self.linear_weight_f = Linear(size, kernel) if frequency else None
        for linear in (self.linear_weight, self.linear_weight_f):
            if linear is not None:
                nn.init.xavier_uniform_(linear.weight)

    def forward(self, xs: Tensor, frames: Frames) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        xs = F.glu(self.linear1(xs), -1)
        length = xs.shape[1]
        taps = self._taps(xs).transpose(1, 2)  # (B, H, T, k)
        # tap j of frame t belongs to column t + j: rows of one column less than stored
        width = length + taps.shape[-1] - 1
        band = F.pad(taps, (0, length), value=-torch.inf).flatten(2)
        band = band[:, :, : length * width].unflatten(2, (length, width))
        scores = band[..., self.past : self.past + length]
        if frames.valid is not None:  # not -inf: frames behind the end see no other
            least = torch.finfo(scores.dtype).min
            scores = scores.masked_fill(~frames.valid[:, None, None], least)
        weights = scores.softmax(-1)
        if self.recorder is not None:
            self.recorder("" if self.linear_weight_f is None else "_time", weights)
        heads = xs.unflatten(2, (self.heads, -1)).transpose(1, 2)
        ys = (weights @ heads).transpose(1, 2).flatten(2)
        return self._finish(xs, ys)

    def extend(
        self, x: Tensor, cache: Tensor, branches: Branches
    ) -> tuple[Tensor, Tensor]:
        """One more label x (N, C), counted already -> (N, C), the cache."""
        x, window = self.read(x, cache)
        taps = self._taps(x[:, None])[:, 0]  # (N, H, P + 1)
        absent = max(0, self.past + 1 - branches.position)
        weights = taps[..., absent:].softmax(-1)
        heads = window[:, absent:].unflatten(2, (self.heads, -1)).transpose(1, 2)
        y = (weights[:, :, None] @ heads)[:, :, 0].flatten(1)
        return self._finish(x[:, None], y[:, None])[:, 0], window[:, 1:]

    def _taps(self, xs: Tensor) -> Tensor:
        """Kernels before the softmax (B, T, H, k), the future cut off if ``causal``."""
        taps = F.dropout(self.linear_weight(xs), self.dropout_rate, self.training)
        taps = taps.unflatten(-1, (self.heads, -1))
        return taps[..., : self.past + 1] if self.causal else taps

    def _finish(self, xs: Tensor, ys: Tensor) -> Tensor:
        """Bias; the convolution of xs (B, T, C) along the features; the last layer."""
        if self.bias is not None:
            ys = ys + self.bias
        if self.linear_weight_f is not None:
            kernels = self.linear_weight_f(xs)  # (B, T, k)
            if self.recorder is not None:
                self.recorder("_freq", kernels[:, None])
            windows = F.pad(xs, (self.past, self.past)).unfold(2, kernels.shape[2], 1)
            ys = torch.cat([ys, (windows @ kernels[..., None])[..., 0]], -1)
        return self.linear2(ys)
