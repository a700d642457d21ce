"""The options of the Transducer recogniser. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import yaml

from espnet.nets.pytorch_backend.conformer.options import (
    ACTIVATIONS,
    CONFORMER_POSITIONS,
)
from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.nets.pytorch_backend.rnn.options import (
    CELL_TYPES,
    ENCODERS,
    parse_subsample,
    subsampling,
)
from espnet.nets.pytorch_backend.transducer.blocks import (
    checked_blocks,
    input_size,
    output_size,
    parse_block,
    windows,
)
from espnet.utils.errors import UserError, one_of
from espnet.utils.option_values import parse_bool
from espnet.utils.options import option

INPUT_LAYERS = {"conv2d": 4, "vgg2l": 6, "linear": 1, "embed": 1}
SELF_ATTENTIONS = ("self_attn", "rel_self_attn")
ENCODER_TYPES = ("custom", *ENCODERS)
# the documentation's example of a custom decoder calls it transformer
DECODER_TYPES = (*CELL_TYPES, "custom", "transformer")
JOINT_ACTIVATIONS = ("relu", "tanh", "swish")
TRANSDUCER_LOSSES = ("full", "pruned")


def parse_layers(text: str) -> tuple[int, ...]:
    """Layer numbers, ``0,2`` or ``[0, 2]``.

    Raises:
        ValueError: they are something else.
    """
    value = yaml.safe_load(text if text.lstrip()[:1] in ("[", "(") else f"[{text}]")
    if isinstance(value, str):  # (0, 2)
        value = yaml.safe_load(f"[{value.strip('() ')}]")
    if not isinstance(value, list) or not all(type(v) is int for v in value):
        raise ValueError(f"'{text}' is not a list of layer numbers, such as [0, 2]")
    return tuple(value)


@dataclass(frozen=True)
class TransducerOptions(HybridOptions):
    """Encoder, prediction network, joint network and losses of the Transducer."""

    etype: str = option(
        "blstmp", "type of encoder; custom: enc-block-arch", choices=ENCODER_TYPES
    )
    dropout_rate: float = option(0.0, "dropout of the RNN encoder")
    elayers: int = option(4, "layers of the RNN encoder")
    eunits: int = option(300, "units of each RNN encoder layer", aliases=("-u",))
    eprojs: int = option(320, "size of the RNN encoder's projections and output")
    subsample: str = option(
        "1",
        "a_b_c...: use each a-th input frame, keep each b-th after layer 1, and so on"
        " (types ending in p without vgg)",
    )
    enc_block_arch: list[dict[str, Any]] | None = option(
        None, "a block of the custom encoder, {type: ..., ...}", parse=parse_block
    )
    enc_block_repeat: int = option(1, "how often the encoder's blocks are repeated")
    custom_enc_input_layer: str = option(
        "conv2d",
        "first layer of the custom encoder; conv2d divides the frame rate by 4, vgg2l"
        " by 6",
        choices=INPUT_LAYERS,
    )
    custom_enc_input_dropout_rate: float = option(0.0, "dropout of that layer")
    custom_enc_input_pos_enc_dropout_rate: float = option(
        0.0, "dropout of frames with positions"
    )
    custom_enc_positional_encoding_type: str = option(
        "abs_pos", "positions in the custom encoder", choices=CONFORMER_POSITIONS
    )
    custom_enc_self_attn_type: str = option(
        "self_attn", "attention of conformer blocks", choices=SELF_ATTENTIONS
    )
    custom_enc_pw_activation_type: str = option(
        "relu", "activation of feed-forward layers, encoder", choices=ACTIVATIONS
    )
    custom_enc_conv_mod_activation_type: str = option(
        "swish", "activation of conformer blocks' convolution", choices=ACTIVATIONS
    )
    dtype: str = option(
        "lstm",
        "type of prediction network; custom (or transformer): dec-block-arch",
        choices=DECODER_TYPES,
    )
    dropout_rate_decoder: float = option(0.0, "dropout of the RNN decoder's layers")
    dropout_rate_embed_decoder: float = option(0.0, "dropout of embedded labels")
    dec_embed_dim: int = option(320, "size of embeddings of the RNN decoder")
    dlayers: int = option(1, "layers of the RNN decoder")
    dunits: int = option(320, "units of each RNN decoder layer")
    dec_block_arch: list[dict[str, Any]] | None = option(
        None, "a block of the custom decoder, {type: ..., ...}", parse=parse_block
    )
    dec_block_repeat: int = option(1, "how often the decoder's blocks are repeated")
    custom_dec_input_layer: str = option(
        "embed", "first layer of the custom decoder", choices=("linear", "embed")
    )
    custom_dec_pw_activation_type: str = option(
        "relu", "activation of feed-forward layers, decoder", choices=ACTIVATIONS
    )
    optimizer_warmup_steps: int = option(
        25000,
        "updates until noam's learning rate falls",
        aliases=("--transformer-warmup-steps",),
    )
    noam_lr: float = option(
        10.0, "factor on noam's learning rate", aliases=("--transformer-lr",)
    )
    noam_adim: int = option(
        0,
        "model size in noam's learning rate; --opt noam needs it",
        aliases=("--adim",),
    )
    transducer_weight: float = option(
        1.0, "weight of the Transducer loss", aliases=("--transducer-loss-weight",)
    )
    transducer_loss: str = option(
        "full",
        "pruned: in training, evaluate the joint network near likely paths only",
        choices=TRANSDUCER_LOSSES,
    )
    transducer_prune_range: int = option(
        5, "pruned: label positions that are looked at in each frame"
    )
    joint_dim: int = option(320, "size of the joint space")
    joint_activation_type: str = option(
        "tanh", "activation of the joint network", choices=JOINT_ACTIVATIONS
    )
    score_norm: bool = option(
        True, "divide scores by length in the search of validation", parse=parse_bool
    )
    fastemit_lambda: float = option(0.0, "weight of FastEmit; 0: none")
    use_ctc_loss: bool = option(False, "add a CTC loss", parse=parse_bool)
    ctc_loss_weight: float = option(0.5, "its weight")
    ctc_loss_dropout_rate: float = option(0.0, "dropout of the frames that it sees")
    use_lm_loss: bool = option(
        False, "add the loss of a language model's layer", parse=parse_bool
    )
    lm_loss_weight: float = option(0.2, "its weight")
    lm_loss_smoothing_rate: float = option(0.0, "its weight of label smoothing")
    use_aux_transducer_loss: bool = option(
        False, "add Transducer losses of intermediate layers", parse=parse_bool
    )
    aux_transducer_loss_weight: float = option(0.4, "their weight")
    aux_transducer_loss_enc_output_layers: tuple[int, ...] | None = option(
        None, "their encoder layers, counted from 0: [0, 2]", parse=parse_layers
    )
    aux_transducer_loss_mlp_dim: int = option(320, "size of the layer before them")
    aux_transducer_loss_mlp_dropout_rate: float = option(0.0, "its dropout")
    use_symm_kl_div_loss: bool = option(
        False,
        "add the divergence between main and intermediate Transducers",
        parse=parse_bool,
    )
    symm_kl_div_loss_weight: float = option(0.2, "its weight")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        super().check()
        self._check_choices()
        self._check_numbers()
        if self.custom_encoder:
            self._check_custom_encoder()
        else:
            parse_subsample(self.subsample)
        if self.custom_decoder:
            self._check_custom_decoder()
        self._check_losses()

    @property
    def custom_encoder(self) -> bool:
        """Whether the encoder is made of ``enc-block-arch``."""
        return self.etype == "custom"

    @property
    def custom_decoder(self) -> bool:
        """Whether the prediction network is made of ``dec-block-arch``."""
        return self.dtype not in CELL_TYPES

    def encoder_blocks(self) -> list[dict[str, Any]]:
        """The blocks of the custom encoder."""
        return checked_blocks(self.enc_block_arch, "enc", self.enc_block_repeat)

    def decoder_blocks(self) -> list[dict[str, Any]]:
        """The blocks of the custom decoder."""
        return checked_blocks(self.dec_block_arch, "dec", self.dec_block_repeat)

    def encoder_size(self) -> int:
        """Size E of encoder frames."""
        if self.custom_encoder:
            return output_size(self.encoder_blocks()[-1])
        return self.eprojs

    def decoder_size(self) -> int:
        """Size of the prediction network's output."""
        if self.custom_decoder:
            return output_size(self.decoder_blocks()[-1])
        return self.dunits

    def auxiliary_layers(self) -> tuple[int, ...]:
        """The layers of auxiliary Transducer losses, counted from 0, in order."""
        if not self.use_aux_transducer_loss:
            return ()
        return tuple(sorted(self.aux_transducer_loss_enc_output_layers or ()))

    def _check_choices(self) -> None:
        for name, allowed in (
            ("etype", ENCODER_TYPES),
            ("dtype", DECODER_TYPES),
            ("custom_enc_input_layer", INPUT_LAYERS),
            ("custom_enc_positional_encoding_type", CONFORMER_POSITIONS),
            ("custom_enc_self_attn_type", SELF_ATTENTIONS),
            ("custom_enc_pw_activation_type", ACTIVATIONS),
            ("custom_enc_conv_mod_activation_type", ACTIVATIONS),
            ("custom_dec_pw_activation_type", ACTIVATIONS),
            ("joint_activation_type", JOINT_ACTIVATIONS),
            ("transducer_loss", TRANSDUCER_LOSSES),
        ):
            if getattr(self, name) not in allowed:
                raise UserError(one_of(_flag(name), getattr(self, name), allowed))

    def _check_numbers(self) -> None:
        counts = ["joint_dim", "enc_block_repeat", "dec_block_repeat"]
        if not self.custom_encoder:
            counts += ["elayers", "eunits", "eprojs"]
        if not self.custom_decoder:
            counts += ["dec_embed_dim", "dlayers", "dunits"]
        if self.use_aux_transducer_loss:
            counts.append("aux_transducer_loss_mlp_dim")
        for name in counts:
            value = getattr(self, name)
            # ESPnet1 took a repetition below 1 for 1
            if value < 1 and not name.endswith("block_repeat"):
                raise UserError(f"{_flag(name)}: {value} must be at least 1")
        for name in (
            *("dropout_rate", "dropout_rate_decoder", "dropout_rate_embed_decoder"),
            "custom_enc_input_dropout_rate",
            "custom_enc_input_pos_enc_dropout_rate",
            *("ctc_loss_dropout_rate", "aux_transducer_loss_mlp_dropout_rate"),
            "lm_loss_smoothing_rate",
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                value = getattr(self, name)
                raise UserError(f"{_flag(name)}: {value} must lie in [0, 1]")
        if self.transducer_prune_range < 2:
            raise UserError(
                f"transducer-prune-range: {self.transducer_prune_range} must be at"
                " least 2: a label leads from one position to the next"
            )
        for name in (
            "transducer_weight",
            "ctc_loss_weight",
            "lm_loss_weight",
            "aux_transducer_loss_weight",
            "symm_kl_div_loss_weight",
            "fastemit_lambda",
        ):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise UserError(
                    f"{_flag(name)}: {getattr(self, name)} must not be negative"
                    " or infinite"
                )

    def _check_custom_encoder(self) -> None:
        blocks = self.encoder_blocks()
        positions = self.custom_enc_positional_encoding_type
        attention = self.custom_enc_self_attn_type
        if positions == "rel_pos" and attention != "rel_self_attn":
            raise UserError(
                "custom-enc-positional-encoding-type: 'rel_pos' needs"
                f" custom-enc-self-attn-type 'rel_self_attn', not '{attention}'"
            )
        types = {block["type"] for block in blocks}
        if positions == "rel_pos" and "transformer" in types:
            raise UserError(
                "custom-enc-positional-encoding-type: 'rel_pos' is for conformer"
                " blocks; transformer blocks of enc-block-arch need abs_pos or"
                " scaled_abs_pos"
            )
        if (
            attention == "rel_self_attn"
            and positions != "rel_pos"
            and "conformer" in types
        ):
            raise UserError(
                "custom-enc-self-attn-type: 'rel_self_attn' needs"
                f" custom-enc-positional-encoding-type 'rel_pos', not '{positions}'"
            )
        size = input_size(blocks[0])
        without = self.custom_enc_input_layer == "vgg2l" and positions != "rel_pos"
        if size % 2 and not without:
            raise UserError(
                f"enc-block-arch: block 1 has the odd input size {size}; positions need"
                " an even one"
            )

    def _check_custom_decoder(self) -> None:
        blocks = self.decoder_blocks()
        if self.custom_dec_input_layer == "linear":
            raise UserError(
                "custom-dec-input-layer: 'linear' cannot read label ids; use embed"
            )
        size = input_size(blocks[0])
        if size % 2 and blocks[0]["type"] == "transformer":
            raise UserError(
                f"dec-block-arch: block 1 has the odd input size {size}; positions need"
                " an even one"
            )

    def _check_losses(self) -> None:
        if self.use_symm_kl_div_loss and not self.use_aux_transducer_loss:
            raise UserError(
                "use-symm-kl-div-loss: compares the Transducer with auxiliary ones; add"
                " use-aux-transducer-loss"
            )
        if not self.use_aux_transducer_loss:
            return
        name = "aux-transducer-loss-enc-output-layers"
        layers = self.auxiliary_layers()
        count = len(self.encoder_blocks()) if self.custom_encoder else self.elayers
        if not layers:
            raise UserError(
                f"{name}: is missing; use-aux-transducer-loss needs a list of encoder"
                " layers, counted from 0"
            )
        for layer in layers:
            if type(layer) is not int or not 0 <= layer < count - 1:
                raise UserError(
                    f"{name}: {layer} is no layer before the last one; the encoder has"
                    f" {count}, so it must lie in [0, {count - 2}]"
                )
        if self.custom_encoder:
            self._check_auxiliary_sizes(layers)
        if self.use_symm_kl_div_loss and self._shortens_after(layers[0]):
            raise UserError(
                f"{name}: {layers[0]}: the layers behind it reduce the frames, so that"
                " use-symm-kl-div-loss cannot compare it with the last one"
            )

    def _check_auxiliary_sizes(self, layers: tuple[int, ...]) -> None:
        """All losses share one layer norm and one network behind the encoder."""
        blocks = self.encoder_blocks()
        for layer in layers:
            size = output_size(blocks[layer])
            if size != self.encoder_size():
                raise UserError(
                    f"aux-transducer-loss-enc-output-layers: {layer}: block {layer + 1}"
                    f" ({blocks[layer]['type']}) gives {size} features, the last one"
                    f" {self.encoder_size()}; choose blocks that give as many"
                )

    def _shortens_after(self, layer: int) -> bool:
        """Whether there are fewer frames at the end than behind a layer."""
        if not self.custom_encoder:
            steps = subsampling(self.subsample, self.etype, self.elayers)
            return math.prod(steps[layer + 2 :]) > 1
        convolutions = [b for b in self.encoder_blocks()[layer + 1 :] if "idim" in b]
        return any(w[:2] != (1, 1) for block in convolutions for w in windows(block))


def _flag(name: str) -> str:
    return name.replace("_", "-")
