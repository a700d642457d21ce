"""What mixes the frames of a sequence: self-attention and what can replace it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.convolutions import (
    DynamicConvolution,
    LightConvolution,
)

Mixer = MultiHeadedAttention | LightConvolution | DynamicConvolution


@dataclass(frozen=True)
class MixerSizes:
    """Everything that shapes a mixer; each type takes what it needs.

    Attributes:
        size: D of its input and output.
        heads: of attention.
        wshare: kernels of convolutions.
        kernel: their length in frames.
        use_bias: of convolutions.
        dropout_rate: of weights.
        causal: no frame sees a later one.
    """

    size: int
    heads: int
    wshare: int = 4
    kernel: int = 0
    use_bias: bool = False
    dropout_rate: float = 0.0
    causal: bool = False


def _attention(sizes: MixerSizes) -> Mixer:
    return MultiHeadedAttention(
        sizes.heads, sizes.size, sizes.dropout_rate, causal=sizes.causal
    )


def _convolution(
    kind: type[LightConvolution] | type[DynamicConvolution],
    frequency: bool,
    sizes: MixerSizes,
) -> Mixer:
    return kind(
        *(sizes.wshare, sizes.size, sizes.kernel, sizes.dropout_rate),
        use_bias=sizes.use_bias,
        causal=sizes.causal,
        frequency=frequency,
    )


MIXERS: dict[str, Callable[[MixerSizes], Mixer]] = {
    "selfattn": _attention,
    "lightconv": partial(_convolution, LightConvolution, False),
    "lightconv2d": partial(_convolution, LightConvolution, True),
    "dynamicconv": partial(_convolution, DynamicConvolution, False),
    "dynamicconv2d": partial(_convolution, DynamicConvolution, True),
}
