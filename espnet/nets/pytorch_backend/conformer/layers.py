"""The blocks of Conformer encoders (Gulati et al., 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espnet.nets.pytorch_backend.conformer.convolution import ConvolutionModule
from espnet.nets.pytorch_backend.nets_utils import Dropout
from espnet.nets.pytorch_backend.transformer.feed_forward import FeedForward
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.layers import layer_norm, stochastic_depth
from espnet.nets.pytorch_backend.transformer.mixers import Mixer


class ConformerLayer(nn.Module):
    """[Half a feed-forward layer,] self-attention, [convolution,] feed-forward layer.

    Args:
        size: D.
        self_attn, feed_forward: the parts.
        feed_forward_macaron: the layer before the attention; both then count half.
        conv_module: the convolution; a normalisation then ends the block.
        dropout_rate: of each part's output.
        skip_rate: probability that training leaves the block out.
    """

    def __init__(
        self,
        size: int,
        self_attn: Mixer,
        feed_forward: FeedForward,
        feed_forward_macaron: FeedForward | None,
        conv_module: ConvolutionModule | None,
        dropout_rate: float,
        skip_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.self_attn = self_attn
        self.feed_forward = feed_forward
        self.feed_forward_macaron = feed_forward_macaron
        self.conv_module = conv_module
        self.norm_ff = layer_norm(size)
        self.norm_mha = layer_norm(size)
        if feed_forward_macaron is not None:
            self.norm_ff_macaron = layer_norm(size)
        if conv_module is not None:
            self.norm_conv = layer_norm(size)
            self.norm_final = layer_norm(size)
        self.dropout = Dropout(dropout_rate)
        self.skip_rate = skip_rate

    def forward(self, xs: Tensor, frames: Frames) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        scale = stochastic_depth(self.skip_rate, self.training)
        if scale == 0.0:
            return xs
        forward_scale = scale
        if self.feed_forward_macaron is not None:
            forward_scale = 0.5 * scale
            branch = self.feed_forward_macaron(self.norm_ff_macaron(xs))
            xs = torch.add(xs, self.dropout(branch), alpha=forward_scale)
        branch = self.self_attn(self.norm_mha(xs), frames)
        xs = torch.add(xs, self.dropout(branch), alpha=scale)
        if self.conv_module is not None:
            branch = self.conv_module(self.norm_conv(xs), frames)
            xs = torch.add(xs, self.dropout(branch), alpha=scale)
        branch = self.feed_forward(self.norm_ff(xs))
        xs = torch.add(xs, self.dropout(branch), alpha=forward_scale)
        return xs if self.conv_module is None else self.norm_final(xs)
