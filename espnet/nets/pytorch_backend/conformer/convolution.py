"""The convolution module of Conformer blocks (Gulati et al., 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Pointwise
from espnet.nets.pytorch_backend.nets_utils import convolve_frames
from espnet.nets.pytorch_backend.sharing import batch_norm, parts
from espnet.nets.pytorch_backend.transformer.feed_forward import Activation
from espnet.nets.pytorch_backend.transformer.frames import Frames


class ConvolutionModule(nn.Module):
    """Gated linear unit, depthwise convolution, batch norm, activation, linear layer.

    Frames behind an utterance's end are 0 for the convolution and do not count in the
    statistics of the batch norm; in ESPnet1 they took part in both.

    Args:
        size: channels D.
        kernel: of the depthwise convolution, frames, odd.
        activation: behind the batch norm.
    """

    def __init__(self, size: int, kernel: int, activation: Activation) -> None:
        super().__init__()
        self.pointwise_conv1 = Pointwise(size, 2 * size)
        self.depthwise_conv = nn.Conv1d(
            size, size, kernel, padding=(kernel - 1) // 2, groups=size
        )
        self.norm = nn.BatchNorm1d(size)
        self.pointwise_conv2 = Pointwise(size, size)
        self.activation = activation

    def forward(self, xs: Tensor, frames: Frames) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        xs = frames.zero(F.glu(self.pointwise_conv1(xs), -1))
        xs = convolve_frames(self.depthwise_conv, xs)
        xs = normalise_valid(self.norm, xs, frames)
        return self.pointwise_conv2(self.activation(xs))


def normalise_valid(norm: nn.BatchNorm1d, xs: Tensor, frames: Frames) -> Tensor:
    """The batch norm of xs (B, T, D) over valid frames only."""
    rows = xs.flatten(0, 1)
    alone = int(frames.lengths.sum()) == 1 and parts() == 1  # has no variance
    if not norm.training or alone:
        rows = F.batch_norm(
            rows,
            *(norm.running_mean, norm.running_var),
            *(norm.weight, norm.bias),
            eps=norm.eps,
        )
    elif frames.valid is None:
        rows = batch_norm(norm, rows)
    else:
        places = frames.places(xs.device)
        normed = batch_norm(norm, rows.index_select(0, places))
        rows = normed.new_zeros(rows.shape).index_copy(0, places, normed)
    return rows.view(xs.shape)
