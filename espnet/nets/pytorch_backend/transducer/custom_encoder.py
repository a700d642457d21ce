"""Encoders made of blocks that a user lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from espnet.nets.pytorch_backend.conformer.attention import RelativeAttention
from espnet.nets.pytorch_backend.conformer.convolution import ConvolutionModule
from espnet.nets.pytorch_backend.conformer.layers import ConformerLayer
from espnet.nets.pytorch_backend.transducer.blocks import input_size, output_size
from espnet.nets.pytorch_backend.transducer.convolution_blocks import (
    Conv1dBlock,
    Conv1dStack,
    conv1d,
)
from espnet.nets.pytorch_backend.transducer.options import TransducerOptions
from espnet.nets.pytorch_backend.transducer.rnn_encoder import Outputs
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.feed_forward import (
    ACTIVATIONS,
    FeedForward,
)
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.input_layers import (
    INPUT_LAYERS,
    InputLayer,
    InputSizes,
)
from espnet.nets.pytorch_backend.transformer.layers import EncoderLayer, layer_norm
from espnet.nets.pytorch_backend.transformer.positions import POSITIONS
from espnet.utils.errors import UserError

# that the convolutions and poolings of a first layer leave some of
LEAST_FEATURES = {"conv2d": 7, "vgg2l": 4}


class CustomEncoder(nn.Module):
    """Features to encoder frames.

    Args:
        embed: the first layer.
        blocks: the others.
        size: E of the output.
        intermediate: blocks, counted from 0, whose output is given too.
    """

    def __init__(
        self,
        embed: InputLayer,
        blocks: Iterable[nn.Module],
        size: int,
        intermediate: Collection[int] = (),
    ) -> None:
        super().__init__()
        self.embed = embed
        self.encoders = nn.ModuleList(blocks)
        self.after_norm = layer_norm(size)
        self.intermediate = frozenset(intermediate)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that come of ``lengths`` (B,); 0 if there are too few."""
        lengths = self.embed.output_lengths(lengths)
        for block in self.encoders:
            if isinstance(block, (Conv1dBlock, Conv1dStack)):
                lengths = block.output_lengths(lengths)
        return lengths

    def forward(self, xs: Tensor, lengths: Tensor) -> Outputs:
        """The normalised outputs of intermediate blocks and of the last one.

        Args:
            xs: (B, T, D).
            lengths: (B,) on the CPU.

        Returns:
            Pairs (B, T', E), zeros behind each length, and (B,).

        Raises:
            UserError: an utterance is too short.
        """
        if int(self.output_lengths(lengths).min()) < 1:
            shortest = int(self.output_lengths(lengths).argmin())
            raise UserError(
                f"utterance {shortest + 1} of {len(lengths)} in the batch has"
                f" {int(lengths[shortest])} frames, too few for the encoder's"
                " convolutions; leave it out"
            )
        xs, positions, outlens = self.embed(xs, lengths)
        frames = Frames.of(xs, outlens, positions)
        last = len(self.encoders) - 1
        found = []
        for number, block in enumerate(self.encoders):
            if isinstance(block, (Conv1dBlock, Conv1dStack)):
                xs, frames = block(xs, frames)
            else:
                xs = block(xs, frames)
            if number == last or number in self.intermediate:
                found.append((frames.zero(self.after_norm(xs)), frames.lengths))
        return found


def custom_encoder(options: TransducerOptions, idim: int) -> CustomEncoder:
    """The encoder that options describe."""
    blocks = options.encoder_blocks()
    makers = {"transformer": _transformer, "conformer": _conformer}
    relative = options.custom_enc_positional_encoding_type == "rel_pos"
    attending = [n for n, b in enumerate(blocks) if b["type"] == "conformer"]
    last = attending[-1] if relative and attending else 0  # that looks at positions
    layers = [
        conv1d(block, relative=number < last)
        if block["type"] == "conv1d"
        else makers[block["type"]](block, options)
        for number, block in enumerate(blocks)
    ]
    return CustomEncoder(
        _input_layer(options, idim, input_size(blocks[0])),
        layers,
        output_size(blocks[-1]),
        options.auxiliary_layers(),
    )


def _input_layer(options: TransducerOptions, idim: int, size: int) -> InputLayer:
    """The first layer, with the positions that ESPnet1 has there."""
    name = options.custom_enc_input_layer
    kind = options.custom_enc_positional_encoding_type
    dropout_rate = options.custom_enc_input_dropout_rate
    rate = options.custom_enc_input_pos_enc_dropout_rate
    if idim < LEAST_FEATURES.get(name, 1):
        raise UserError(
            f"custom-enc-input-layer: '{name}' needs features of at least"
            f" {LEAST_FEATURES[name]} dimensions, there are {idim}; use linear"
        )
    if name == "conv2d" and kind != "rel_pos":
        # scaled positions were silently plain ones there, with the layer's own dropout
        kind, rate = "abs_pos", dropout_rate
    positions = POSITIONS[kind](size, rate)
    return INPUT_LAYERS[name](InputSizes(idim, size, positions, dropout_rate))


def _feed_forward(block: Mapping[str, Any], options: TransducerOptions) -> FeedForward:
    return FeedForward(
        block["d_hidden"],
        block["d_ff"],
        block["pos-dropout-rate"],
        ACTIVATIONS[options.custom_enc_pw_activation_type],
    )


def _transformer(block: Mapping[str, Any], options: TransducerOptions) -> nn.Module:
    size = block["d_hidden"]
    return EncoderLayer(
        size,
        MultiHeadedAttention(block["heads"], size, block["att-dropout-rate"]),
        _feed_forward(block, options),
        block["dropout-rate"],
    )


def _conformer(block: Mapping[str, Any], options: TransducerOptions) -> nn.Module:
    size = block["d_hidden"]
    relative = options.custom_enc_self_attn_type == "rel_self_attn"
    attention = RelativeAttention if relative else MultiHeadedAttention
    convolution = None
    if block["use_conv_mod"]:
        activation = ACTIVATIONS[options.custom_enc_conv_mod_activation_type]
        convolution = ConvolutionModule(size, block["conv_mod_kernel"], activation)
    return ConformerLayer(
        size,
        attention(block["heads"], size, block["att-dropout-rate"]),
        _feed_forward(block, options),
        _feed_forward(block, options) if block["macaron_style"] else None,
        convolution,
        block["dropout-rate"],
    )
