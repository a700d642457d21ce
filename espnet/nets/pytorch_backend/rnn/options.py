"""The options of the RNN recogniser. Imports no torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.utils.errors import UserError, one_of
from espnet.utils.options import option


@dataclass(frozen=True)
class EncoderKind:
    """What the name of an encoder says.

    Attributes:
        cell: ``lstm`` or ``gru``.
        bidirectional: reads the utterance in both directions (``b``).
        projected: a projection, and perhaps subsampling, after each layer (``p``).
        vgg: two convolution blocks come first and divide the frame rate by 4.
    """

    cell: str
    bidirectional: bool
    projected: bool
    vgg: bool


ENCODERS = {
    f"{vgg}{b}{cell}{p}": EncoderKind(cell, bool(b), bool(p), bool(vgg))
    for cell in ("lstm", "gru")
    for vgg in ("", "vgg")
    for p in ("", "p")
    for b in ("", "b")
}
ATTENTION_TYPES = (
    "noatt",
    "dot",
    "add",
    "location",
    "location2d",
    "location_recurrent",
    "coverage",
    "coverage_location",
    "multi_head_dot",
    "multi_head_add",
    "multi_head_loc",
    "multi_head_multi_res_loc",
)
CONVOLVING_TYPES = (
    "location",
    "location2d",
    "location_recurrent",
    "coverage_location",
    "multi_head_loc",
    "multi_head_multi_res_loc",
)
CELL_TYPES = ("lstm", "gru")
SMOOTHING_TYPES = ("", "unigram")
MAX_STEP = 100  # frames that subsampling skips at most


@dataclass(frozen=True)
class RNNOptions(HybridOptions):
    """Encoder, attention and decoder of the RNN recogniser."""

    etype: str = option("blstmp", "type of encoder", choices=ENCODERS)
    elayers: int = option(4, "layers of the encoder")
    eunits: int = option(300, "units of each encoder layer", aliases=("-u",))
    eprojs: int = option(320, "size of the encoder's projections and output")
    subsample: str = option(
        "1",
        "a_b_c...: use each a-th input frame, keep each b-th after layer 1, and so on"
        " (types ending in p without vgg)",
    )
    atype: str = option("dot", "type of attention", choices=ATTENTION_TYPES)
    adim: int = option(320, "size of the attention")
    awin: int = option(5, "weight vectors that location2d looks back at")
    aheads: int = option(4, "heads of the multi_head types")
    aconv_chans: int = option(
        -1, "channels of the attention's convolution; location types need it"
    )
    aconv_filts: int = option(100, "half width of the attention's convolution, frames")
    dropout_rate: float = option(0.0, "dropout of encoder and CTC")
    dtype: str = option("lstm", "type of the decoder's cells", choices=CELL_TYPES)
    dlayers: int = option(1, "layers of the decoder")
    dunits: int = option(320, "units of each decoder layer and size of embeddings")
    dropout_rate_decoder: float = option(0.0, "dropout of the decoder")
    sampling_probability: float = option(
        0.0, "share of label positions where training feeds the decoder's own output"
    )
    lsm_type: str | None = option(
        "",
        "smooth labels with the unigram of --train-json (weight: --lsm-weight)",
        choices=SMOOTHING_TYPES,
        optional_value=True,
    )
    rnnlm: str | None = option(
        None, "language model of the search in validation: rnnlm.model.best"
    )
    rnnlm_conf: str | None = option(
        None, "its model.json, if that is not beside the model"
    )
    lm_weight: float = option(0.1, "its weight in the search of validation")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        super().check()
        for name, allowed in (
            ("etype", ENCODERS),
            ("atype", ATTENTION_TYPES),
            ("dtype", CELL_TYPES),
        ):
            if getattr(self, name) not in allowed:
                raise UserError(one_of(name, getattr(self, name), allowed))
        if (self.lsm_type or "") not in SMOOTHING_TYPES:
            raise UserError(one_of("lsm-type", self.lsm_type, SMOOTHING_TYPES[1:]))
        for name in ("elayers", "eunits", "eprojs", "adim", "dlayers", "dunits"):
            self._at_least_one(name)
        if self.atype == "location2d":
            self._at_least_one("awin")
        if self.atype.startswith("multi_head"):
            self._at_least_one("aheads")
        if self.atype in CONVOLVING_TYPES:
            self._check_convolution()
        for name in ("dropout_rate", "dropout_rate_decoder", "sampling_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                value = getattr(self, name)
                raise UserError(f"{_flag(name)}: {value} must lie in [0, 1]")
        parse_subsample(self.subsample)

    def _at_least_one(self, name: str) -> None:
        if getattr(self, name) < 1:
            raise UserError(f"{_flag(name)}: {getattr(self, name)} must be at least 1")

    def _check_convolution(self) -> None:
        if self.aconv_chans < 1:
            raise UserError(
                f"aconv-chans: {self.aconv_chans} must be at least 1 with atype"
                f" '{self.atype}', which convolves its previous weights (10 is usual)"
            )
        if self.aconv_filts < 0:
            raise UserError(f"aconv-filts: {self.aconv_filts} must not be negative")


def _flag(name: str) -> str:
    return name.replace("_", "-")


def parse_subsample(text: str) -> tuple[int, ...]:
    """The numbers of ``a_b_c``.

    Raises:
        UserError: a part is not a whole number of at least 1, or is absurdly large.
    """
    try:
        steps = tuple(int(part) for part in str(text).split("_"))
    except ValueError:
        steps = (0,)
    if min(steps) < 1:
        raise UserError(
            f"subsample: '{text}' must be whole numbers of at least 1 joined by _,"
            " such as 1_2_2_1"
        )
    if max(steps) > MAX_STEP:
        raise UserError(
            f"subsample: {max(steps)} is no sensible step; YAML reads 1_2_2_1 as the"
            ' number 1221, write "1_2_2_1" with its quotes'
        )
    return steps


def check_subsample_length(text: str, etype: str, elayers: int) -> None:
    """Refuse a list that has neither one number nor one for the input and each layer.

    This is for new models. Those of ESPnet1, which took any list, are still built, see
    :func:`subsampling`. Encoders that cannot subsample take any list, too.

    Raises:
        UserError: the list is too long or too short.
    """
    kind, steps, needed = ENCODERS[etype], parse_subsample(text), elayers + 1
    if kind.vgg or not kind.projected or len(steps) in (1, needed):
        return
    used = (steps + (1,) * elayers)[:needed]
    raise UserError(
        f"subsample: '{text}' has {len(steps)} numbers, elayers {elayers} needs"
        f" {needed}, of the input and then of each layer; write, for example,"
        f" {'_'.join(map(str, used))}"
    )


def subsampling(text: str, etype: str, elayers: int) -> tuple[int, ...]:
    """Frame steps of the input and of each layer, ``elayers + 1`` numbers.

    As in ESPnet1, a short list is filled with 1 and what an encoder cannot use is left
    out; both are said in the log, for the text asks for something else.
    """
    steps = parse_subsample(text)
    kind = ENCODERS[etype]
    if kind.vgg or not kind.projected:
        if max(steps) > 1:
            logging.warning("subsample '%s' has no effect on etype '%s'", text, etype)
        return (1,) * (elayers + 1)
    used = (steps + (1,) * elayers)[: elayers + 1]
    missing = 1 < len(steps) < len(used)
    if missing or max(steps[len(used) :], default=1) > 1:
        logging.warning(
            "subsample '%s' has %d numbers, elayers %d needs %d (of the input, then of "
            "each layer); '%s' is used",
            *(text, len(steps), elayers, len(used)),
            "_".join(map(str, used)),
        )
    return used
