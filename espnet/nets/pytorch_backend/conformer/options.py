"""The options of the Conformer recogniser. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from espnet.nets.pytorch_backend.transformer.options import (
    MIXERS,
    POSITIONS,
    TransformerOptions,
)
from espnet.utils.errors import UserError, one_of
from espnet.utils.option_values import parse_bool
from espnet.utils.options import option

CONFORMER_POSITIONS = (*POSITIONS, "rel_pos")
ACTIVATIONS = ("relu", "hardtanh", "selu", "swish")
REL_POS_TYPES = ("legacy", "latest")
# ESPnet1 wrote these into model.json in place of rel_pos and rel_selfattn
LEGACY = ("legacy_rel_pos", "legacy_rel_selfattn")


@dataclass(frozen=True)
class ConformerOptions(TransformerOptions):
    """Encoder and decoder of the Conformer recogniser."""

    transformer_encoder_pos_enc_layer_type: str = option(
        "abs_pos", "positions in the encoder", choices=CONFORMER_POSITIONS
    )
    transformer_encoder_activation_type: str = option(
        "swish", "activation in the encoder", choices=ACTIVATIONS
    )
    macaron_style: bool = option(
        False, "a second feed-forward layer before the attention", parse=parse_bool
    )
    zero_triu: bool = option(
        False,
        "relative attention: no position scores for frames to come",
        parse=parse_bool,
    )
    rel_pos_type: str = option(
        "legacy",
        "relative positions: latest, or as models before them learnt",
        choices=REL_POS_TYPES,
    )
    use_cnn_module: bool = option(
        False, "a convolution module after the attention", parse=parse_bool
    )
    cnn_module_kernel: int = option(31, "kernel of the convolution module, frames, odd")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        super().check()
        for name, allowed in (
            ("transformer_encoder_activation_type", ACTIVATIONS),
            ("rel_pos_type", REL_POS_TYPES),
        ):
            if getattr(self, name) not in allowed:
                flag = name.replace("_", "-")
                raise UserError(one_of(flag, getattr(self, name), allowed))
        kernel = self.cnn_module_kernel
        if self.use_cnn_module and (kernel < 1 or kernel % 2 == 0):
            raise UserError(f"cnn-module-kernel: {kernel} must be odd, such as 31")
        positions = self.transformer_encoder_pos_enc_layer_type
        attention = self.transformer_encoder_selfattn_layer_type
        if positions.endswith("rel_pos") != attention.endswith("rel_selfattn"):
            raise UserError(
                f"transformer-encoder-pos-enc-layer-type: '{positions}' does not go"
                f" with transformer-encoder-selfattn-layer-type '{attention}'; rel_pos"
                " and rel_selfattn need each other"
            )

    def choices(self) -> dict[str, Collection[str]]:
        """The values allowed for options that name something."""
        return {
            **super().choices(),
            "transformer_encoder_pos_enc_layer_type": (*CONFORMER_POSITIONS, LEGACY[0]),
            "transformer_encoder_selfattn_layer_type": (
                *(*MIXERS, "rel_selfattn"),
                LEGACY[1],
            ),
        }

    def legacy(self) -> bool:
        """Whether relative positions, if there are any, are those of old models."""
        return (
            self.rel_pos_type == "legacy"
            or self.transformer_encoder_pos_enc_layer_type in LEGACY
            or self.transformer_encoder_selfattn_layer_type in LEGACY
        )
