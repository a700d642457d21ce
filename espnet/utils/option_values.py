"""Values of options: what a text or a Python value must be."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import yaml

from espnet.utils.errors import UserError, one_of

KINDS: dict[type, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
    list: (list, "a list"),
    tuple: (Sequence, "several values"),
}


def plain_type(hint: Any) -> Any:
    """``int | None`` -> ``int``."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def parse_bool(text: str) -> bool:
    """y, yes, t, true, on, 1 or n, no, f, false, off, 0, in any case."""
    if text.lower() in ("y", "yes", "t", "true", "on", "1"):
        return True
    if text.lower() in ("n", "no", "f", "false", "off", "0"):
        return False
    raise ValueError(f"'{text}' is neither true nor false")


def parse_list(text: str) -> tuple[str, ...]:
    """Comma separated words; empty parts are dropped."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_mapping(text: str) -> dict[str, Any]:
    """A YAML or JSON mapping."""
    value = yaml.safe_load(text)
    if not isinstance(value, dict):
        raise ValueError(f"'{text}' is not a mapping 'key: value'")
    return value


def number(text: str) -> float:
    """A float, but not nan, which no comparison of a check would find."""
    value = float(text)
    if math.isnan(value):
        raise ValueError(f"'{text}' is not a number")
    return value


number.__name__ = "float"  # what argparse calls it: "invalid float value: 'x'"


def number_or_none(text: str) -> int | None:
    """A whole number, or ``none``."""
    if text.lower() == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is neither a whole number nor none") from None


def check_values(configs: Sequence[type], values: Mapping[str, Any]) -> None:
    """Check types and choices of options that are given in Python.

    None stands for the default of options that may be None.

    Args:
        configs: the dataclasses whose fields are the options.
        values: by name; those of other options are ignored.

    Raises:
        UserError: one has a value of another type, or one that is no choice.
    """
    for config in configs:
        hints = typing.get_type_hints(config)
        for field in dataclasses.fields(config):
            if field.name in values:
                _check_value(field, hints[field.name], values[field.name])


def _check_value(field: dataclasses.Field, hint: Any, value: Any) -> None:
    kind = plain_type(hint)
    if value is None and kind is not hint:
        return
    wanted, words = KINDS[typing.get_origin(kind) or kind]
    is_other = isinstance(value, bool) and kind is not bool
    is_other |= isinstance(value, str) and wanted is Sequence
    is_nan = isinstance(value, Real) and math.isnan(value)
    if is_other or is_nan or not isinstance(value, wanted):
        raise UserError(f"{field.name}: {value!r} is not {words}")
    choices = field.metadata.get("choices")
    if choices is not None and value not in choices:
        raise UserError(one_of(field.name, value, map(str, choices)))
