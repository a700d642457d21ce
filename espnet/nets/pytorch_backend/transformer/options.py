"""The options of the Transformer recogniser. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.utils.errors import UserError, one_of
from espnet.utils.option_values import parse_bool
from espnet.utils.options import option

INPUT_LAYERS = {  # input frames per encoder frame
    "conv2d": 4,
    "conv2d6": 6,
    "conv2d8": 8,
    "vgg2l": 6,
    "linear": 1,
    "embed": 1,
}
POSITIONS = ("abs_pos", "scaled_abs_pos")
CONVOLVING = ("lightconv", "lightconv2d", "dynamicconv", "dynamicconv2d")
MIXERS = ("selfattn", *CONVOLVING)
UNBUILT = "light-dynamicconv2d"
ENCODER_TYPES = ("selfattn", "rel_selfattn", *CONVOLVING, UNBUILT)
DECODER_TYPES = (*MIXERS, UNBUILT)
INITIALISATIONS = (
    "pytorch",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
)


@dataclass(frozen=True)
class TransformerOptions(HybridOptions):
    """Encoder and decoder of the Transformer recogniser."""

    transformer_init: str = option(
        "pytorch", "how weights start", choices=INITIALISATIONS
    )
    transformer_input_layer: str = option(
        "conv2d",
        "first layer of the encoder; conv2d divides the frame rate by 4, conv2d6 and"
        " vgg2l by 6, conv2d8 by 8",
        choices=INPUT_LAYERS,
    )
    transformer_encoder_pos_enc_layer_type: str = option(
        "abs_pos", "positions in the encoder", choices=POSITIONS
    )
    transformer_attn_dropout_rate: float | None = option(
        None, "dropout of attention weights; if not given: dropout-rate"
    )
    transformer_lr: float = option(10.0, "factor on noam's learning rate")
    transformer_warmup_steps: int = option(
        25000, "updates until noam's learning rate falls"
    )
    transformer_length_normalized_loss: bool = option(
        True,
        "divide the attention loss by the number of tokens, not of utterances",
        parse=parse_bool,
    )
    transformer_encoder_selfattn_layer_type: str = option(
        "selfattn",
        "what mixes frames in the encoder (rel_selfattn: Conformer only)",
        choices=ENCODER_TYPES,
    )
    transformer_decoder_selfattn_layer_type: str = option(
        "selfattn", "what mixes labels in the decoder", choices=DECODER_TYPES
    )
    wshare: int = option(4, "kernels of the light and dynamic convolutions")
    ldconv_encoder_kernel_length: str = option(
        "21_23_25_27_29_31_33_35_37_39_41_43",
        "kernel length of each encoder layer with light or dynamic convolution",
    )
    ldconv_decoder_kernel_length: str = option(
        "11_13_15_17_19_21",
        "kernel length of each decoder layer with light or dynamic convolution",
    )
    ldconv_usebias: bool = option(
        False, "add a bias after light and dynamic convolutions", parse=parse_bool
    )
    dropout_rate: float = option(0.0, "dropout")
    intermediate_ctc_weight: float = option(
        0.0, "weight of the CTC loss of intermediate layers"
    )
    intermediate_ctc_layer: str = option(
        "", "layers with CTC of their own, counted from 1: 6,12", optional_value=True
    )
    self_conditioning: bool = option(
        False,
        "feed the posteriors of intermediate CTC layers back into the encoder",
        parse=parse_bool,
    )
    elayers: int = option(4, "layers of the encoder")
    eunits: int = option(
        300, "units of the encoder's feed-forward layers", aliases=("-u",)
    )
    adim: int = option(320, "size of encoder and decoder frames")
    aheads: int = option(4, "heads of each attention")
    stochastic_depth_rate: float = option(
        0.0,
        "probability that training leaves out the last encoder layer; earlier ones"
        " in proportion",
    )
    dlayers: int = option(1, "layers of the decoder")
    dunits: int = option(320, "units of the decoder's feed-forward layers")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        super().check()
        self._check_choices()
        for name in ("elayers", "eunits", "adim", "aheads", "dlayers", "dunits"):
            self._at_least_one(name)
        if self.adim % self.aheads:
            raise UserError(
                f"aheads: {self.aheads} does not divide adim {self.adim}; each head"
                " gets an equal share of it"
            )
        if self.adim % 2:
            raise UserError(f"adim: {self.adim} is odd; positions need an even size")
        self._check_rates()
        self.intermediate_layers()
        self.kernels("encoder")
        if self.mtlalpha < 1.0:
            self.kernels("decoder")

    def kernels(self, part: str) -> tuple[int, ...]:
        """Kernel length of each layer of ``encoder`` or ``decoder``; 0: none is used.

        Raises:
            UserError: too few, not odd, or ``wshare`` does not divide ``adim``.
        """
        layers = self.elayers if part == "encoder" else self.dlayers
        if getattr(self, f"transformer_{part}_selfattn_layer_type") not in CONVOLVING:
            return (0,) * layers
        self._at_least_one("wshare")
        if self.adim % self.wshare:
            raise UserError(f"wshare: {self.wshare} does not divide adim {self.adim}")
        name = f"ldconv_{part}_kernel_length"
        text = str(getattr(self, name))
        try:
            lengths = tuple(int(length) for length in text.split("_"))
        except ValueError:
            lengths = (0,)
        if any(length < 1 or length % 2 == 0 for length in lengths):
            raise UserError(
                f"{_flag(name)}: '{text}' must be odd numbers joined by _, such as"
                " 11_13_15"
            )
        if len(lengths) < layers:
            raise UserError(
                f"{_flag(name)}: '{text}' has {len(lengths)} numbers, and {layers}"
                f" {part} layers need one each"
            )
        return lengths[:layers]

    def intermediate_layers(self) -> tuple[int, ...]:
        """The encoder layers, counted from 1, that have a CTC loss of their own.

        Raises:
            UserError: there is no such layer, or a layer is named twice.
        """
        text = self.intermediate_ctc_layer or ""
        try:
            layers = tuple(int(part) for part in text.split(",") if part.strip())
        except ValueError:
            layers = (0,)
        repeated = len(set(layers)) < len(layers)
        if repeated or any(not 1 <= layer <= self.elayers for layer in layers):
            raise UserError(
                f"intermediate-ctc-layer: '{text}' must be different layer numbers from"
                f" 1 to elayers {self.elayers} joined by commas, such as 6,12"
            )
        return layers

    def attention_dropout(self) -> float:
        """Dropout of attention weights."""
        rate = self.transformer_attn_dropout_rate
        return self.dropout_rate if rate is None else rate

    def choices(self) -> dict[str, Collection[str]]:
        """The values allowed for options that name something."""
        return {
            "transformer_init": INITIALISATIONS,
            "transformer_input_layer": INPUT_LAYERS,
            "transformer_encoder_pos_enc_layer_type": POSITIONS,
            "transformer_encoder_selfattn_layer_type": MIXERS,
            "transformer_decoder_selfattn_layer_type": MIXERS,
        }

    def _check_choices(self) -> None:
        for name, allowed in self.choices().items():
            value = getattr(self, name)
            if value in allowed:
                continue
            message = one_of(_flag(name), value, allowed)
            if value == UNBUILT:
                message += "; ESPnet1 lists this name, but never had such a layer"
            if value == "rel_selfattn":
                message += "; relative attention is an option of e2e_asr_conformer:E2E"
            raise UserError(message)

    def _check_rates(self) -> None:
        for name in ("dropout_rate", "transformer_attn_dropout_rate"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise UserError(f"{_flag(name)}: {value} must lie in [0, 1]")
        if not 0.0 <= self.stochastic_depth_rate < 1.0:
            raise UserError(
                f"stochastic-depth-rate: {self.stochastic_depth_rate} must lie in"
                " [0, 1)"
            )
        weight = self.intermediate_ctc_weight
        if not 0.0 <= weight <= 1.0:
            raise UserError(f"intermediate-ctc-weight: {weight} must lie in [0, 1]")
        if 0.0 < self.mtlalpha < 1.0 and self.mtlalpha + weight > 1.0:
            raise UserError(
                f"intermediate-ctc-weight: {weight} and mtlalpha {self.mtlalpha} leave"
                " the attention loss a negative weight; their sum must not exceed 1"
            )
        if weight > 0.0 and not self.intermediate_ctc_layer:
            raise UserError(
                f"intermediate-ctc-weight: {weight} needs intermediate-ctc-layer, the"
                " layers that it is for, such as 6,12"
            )
        if weight > 0.0 and self.mtlalpha == 0.0:
            logging.warning(
                "intermediate-ctc-weight %s has no effect: mtlalpha 0 is without CTC",
                weight,
            )
        if self.self_conditioning and self.mtlalpha == 0.0:
            raise UserError("self-conditioning: needs CTC, but mtlalpha is 0")
        if self.self_conditioning and not self.intermediate_ctc_layer:
            raise UserError(
                "self-conditioning: needs intermediate-ctc-layer, the layers whose"
                " posteriors are fed back"
            )

    def _at_least_one(self, name: str) -> None:
        if getattr(self, name) < 1:
            raise UserError(f"{_flag(name)}: {getattr(self, name)} must be at least 1")


def _flag(name: str) -> str:
    return name.replace("_", "-")
