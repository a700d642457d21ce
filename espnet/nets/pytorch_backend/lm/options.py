"""The options of language models, and their names. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from espnet.utils.errors import UserError, one_of
from espnet.utils.option_values import parse_bool
from espnet.utils.options import option

CELL_TYPES = ("lstm", "gru")
POSITION_TYPES = ("sinusoidal", "none")
AXES = ("time", "batch")
STEP_WEIGHTS = ("one", "share")


def _check_sizes(options: Any, *names: str) -> None:
    """Refuse sizes below 1 and rates outside [0, 1)."""
    for name in names:
        value, flag = getattr(options, name), name.replace("_", "-")
        if name.endswith("_rate"):
            if not 0.0 <= value < 1.0:
                raise UserError(f"{flag}: {value} must lie in [0, 1)")
        elif value < 1:
            raise UserError(f"{flag}: {value} must be 1 or more")


def _check_choice(options: Any, name: str, allowed: tuple[str, ...]) -> None:
    """Refuse a name that is not in a list; no name stands for the default."""
    value = getattr(options, name)
    if value is not None and value not in allowed:
        raise UserError(one_of(name.replace("_", "-"), value, allowed))


@dataclass(frozen=True)
class RNNLMOptions:
    """The recurrent language model ``default``."""

    type: str = option(
        "lstm", "recurrent cell", choices=CELL_TYPES, optional_value=True
    )
    layer: int = option(2, "layers", aliases=("-l",))
    unit: int = option(650, "units of each layer", aliases=("-u",))
    embed_unit: int | None = option(None, "size of embeddings; as unit if not given")
    dropout_rate: float = option(0.5, "dropout before each layer and the output")
    emb_dropout_rate: float = option(0.0, "dropout of embeddings in addition")
    tie_weights: bool = option(
        False, "embeddings are the output layer's weights", parse=parse_bool
    )
    step_weight: str | None = option(
        None,
        "of a step in the loss and in the perplexity; new models: one. ESPnet1 took "
        "the share of a batch's sentences that are so long, a mistake, and model.json "
        "of its models does not say so",
        choices=STEP_WEIGHTS,
    )

    # what training writes into model.json where the user said nothing
    NEW: ClassVar[dict[str, str]] = {"step_weight": "one"}

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        _check_choice(self, "type", CELL_TYPES)
        _check_choice(self, "step_weight", STEP_WEIGHTS)
        _check_sizes(self, "layer", "unit", "dropout_rate", "emb_dropout_rate")
        if self.embed_unit is not None:
            _check_sizes(self, "embed_unit")
        if self.tie_weights and self.embed_unit not in (None, self.unit):
            raise UserError(
                f"tie-weights: needs embed-unit ({self.embed_unit}) equal to unit "
                f"({self.unit}); leave embed-unit out"
            )


@dataclass(frozen=True)
class SeqRNNOptions:
    """The recurrent language model ``seq_rnn``."""

    type: str = option(
        "lstm", "recurrent cell", choices=CELL_TYPES, optional_value=True
    )
    layer: int = option(2, "layers", aliases=("-l",))
    unit: int = option(650, "units of each layer, embeddings", aliases=("-u",))
    dropout_rate: float = option(0.5, "dropout of embeddings and layers")
    recurrence: str | None = option(
        None,
        "axis along which training carries the state; new models: time. ESPnet1 took "
        "the batch by mistake, and model.json of its models does not say so",
        choices=AXES,
    )

    # what training writes into model.json where the user said nothing
    NEW: ClassVar[dict[str, str]] = {"recurrence": "time"}

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        _check_choice(self, "type", CELL_TYPES)
        _check_choice(self, "recurrence", AXES)
        _check_sizes(self, "layer", "unit", "dropout_rate")


@dataclass(frozen=True)
class TransformerLMOptions:
    """The language model ``transformer``."""

    layer: int = option(4, "blocks")
    unit: int = option(1024, "units of feed-forward layers")
    att_unit: int = option(256, "size of blocks")
    embed_unit: int = option(128, "size of embeddings")
    head: int = option(2, "attention heads")
    dropout_rate: float = option(0.5, "dropout of the blocks")
    att_dropout_rate: float = option(0.0, "dropout of attention weights")
    emb_dropout_rate: float = option(0.0, "dropout of embeddings")
    tie_weights: bool = option(
        False, "embeddings are the output layer's weights", parse=parse_bool
    )
    pos_enc: str = option(
        "sinusoidal", "how positions are marked", choices=POSITION_TYPES
    )

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        _check_choice(self, "pos_enc", POSITION_TYPES)
        _check_sizes(self, "layer", "unit", "att_unit", "embed_unit", "head")
        _check_sizes(self, "dropout_rate", "att_dropout_rate", "emb_dropout_rate")
        if self.att_unit % self.head:
            raise UserError(
                f"head: {self.head} heads cannot share att-unit {self.att_unit}; use a "
                "divisor of it"
            )
        if self.att_unit % 2 and self.pos_enc == "sinusoidal":
            raise UserError(
                f"att-unit: {self.att_unit} must be even with pos-enc sinusoidal"
            )
        if self.tie_weights and self.att_unit != self.embed_unit:
            raise UserError(
                f"tie-weights: needs att-unit ({self.att_unit}) equal to embed-unit "
                f"({self.embed_unit})"
            )


class ModelName(NamedTuple):
    """Where a language model that has a short name lives."""

    model: str
    options: type


_LIBRARY = "espnet.nets.pytorch_backend.lm"
LANGUAGE_MODELS = {
    "default": ModelName(f"{_LIBRARY}.default:DefaultRNNLM", RNNLMOptions),
    "seq_rnn": ModelName(f"{_LIBRARY}.seq_rnn:SequentialRNNLM", SeqRNNOptions),
    "transformer": ModelName(
        f"{_LIBRARY}.transformer:TransformerLM", TransformerLMOptions
    ),
}


def full_name(name: str) -> str:
    """``package.module:Class`` of a short name; any other name as it is."""
    return LANGUAGE_MODELS[name].model if name in LANGUAGE_MODELS else name
