"""Assembles the Conformer encoder (Gulati et al., 2020)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from espnet.nets.pytorch_backend.conformer.attention import RelativeAttention
from espnet.nets.pytorch_backend.conformer.convolution import ConvolutionModule
from espnet.nets.pytorch_backend.conformer.layers import ConformerLayer
from espnet.nets.pytorch_backend.conformer.options import ConformerOptions
from espnet.nets.pytorch_backend.transformer.encoder import Encoder
from espnet.nets.pytorch_backend.transformer.feed_forward import (
    ACTIVATIONS,
    FeedForward,
)
from espnet.nets.pytorch_backend.transformer.input_layers import (
    INPUT_LAYERS,
    InputSizes,
)
from espnet.nets.pytorch_backend.transformer.mixers import MIXERS, Mixer, MixerSizes
from espnet.nets.pytorch_backend.transformer.positions import (
    POSITIONS,
    LegacyPositions,
    Positions,
)


def conformer_encoder(
    options: ConformerOptions,
    idim: int,
    odim: int,
    posteriors: Callable[[Tensor], Tensor] | None,
) -> Encoder:
    """The Conformer encoder that options describe; see :class:`Encoder`."""
    size, dropout_rate = options.adim, options.dropout_rate
    embed = INPUT_LAYERS[options.transformer_input_layer](
        InputSizes(idim, size, _positions(options), dropout_rate, rectified=False)
    )
    activation = ACTIVATIONS[options.transformer_encoder_activation_type]

    def feed_forward() -> FeedForward:
        return FeedForward(size, options.eunits, dropout_rate, activation)

    layers = []
    for i, kernel in enumerate(options.kernels("encoder")):
        convolution = None
        if options.use_cnn_module:
            convolution = ConvolutionModule(size, options.cnn_module_kernel, activation)
        layers.append(
            ConformerLayer(
                size,
                _mixer(options, kernel),
                feed_forward(),
                feed_forward() if options.macaron_style else None,
                convolution,
                dropout_rate,
                skip_rate=options.stochastic_depth_rate * (i + 1) / options.elayers,
            )
        )
    intermediate = options.intermediate_layers()
    return Encoder(embed, layers, size, intermediate, posteriors, odim)


def _positions(options: ConformerOptions) -> Positions:
    kind = POSITIONS[options.transformer_encoder_pos_enc_layer_type]
    if kind.relative and options.legacy():
        kind = LegacyPositions
    return kind(options.adim, options.dropout_rate)


def _mixer(options: ConformerOptions, kernel: int) -> Mixer:
    build = MIXERS.get(options.transformer_encoder_selfattn_layer_type)
    if build is None:  # the relative types, which no Transformer has
        return RelativeAttention(
            *(options.aheads, options.adim, options.attention_dropout()),
            zero_triu=options.zero_triu,
            legacy=options.legacy(),
        )
    return build(
        MixerSizes(
            *(options.adim, options.aheads, options.wshare, kernel),
            use_bias=options.ldconv_usebias,
            dropout_rate=options.attention_dropout(),
        )
    )
