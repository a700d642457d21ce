"""What ``enc-block-arch`` and ``dec-block-arch`` may hold. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from espnet.utils.errors import UserError, did_you_mean, one_of
from espnet.utils.option_values import parse_mapping

Block = Mapping[str, Any]
PARTS = {"enc": "encoder", "dec": "decoder"}
OTHER_TYPES = {"tdnn": "conv1d"}
OTHER_KEYS = {"use-batchnorm": "use-batch-norm"}
TUPLE = re.compile(r"[\"']?\((\d[\d\s,]*)\)[\"']?")


@dataclass(frozen=True)
class Kind:
    """The values that a key allows.

    Attributes:
        words: how a message calls them.
        allows: whether a value is one.
    """

    words: str
    allows: Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_counts(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple)) and bool(value) and all(map(_is_count, value))
    )


COUNT = Kind("a whole number of at least 1", _is_count)
ODD = Kind("an odd number, such as 31", lambda v: _is_count(v) and v % 2 == 1)
COUNTS = Kind(
    "a whole number of at least 1, or a list of them",
    lambda v: _is_count(v) or _is_counts(v),
)
ONE = Kind("1: a decoder gives one output for each label", lambda v: v in (1, [1]))
FLAG = Kind("true or false", lambda v: isinstance(v, bool))
RATE = Kind(
    "a number in [0, 1]",
    lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 1,
)


@dataclass(frozen=True)
class BlockType:
    """The keys of a type of block.

    Attributes:
        parts: ``encoder``, ``decoder``.
        required: keys that must be there.
        optional: keys that may be there, and what they are without.
        sizes: the keys of input and output size.
    """

    parts: tuple[str, ...]
    required: Mapping[str, Kind]
    optional: Mapping[str, tuple[Kind, Any]]
    sizes: tuple[str, str] = ("d_hidden", "d_hidden")


_ATTENDING = {"d_hidden": COUNT, "d_ff": COUNT, "heads": COUNT}
_RATES = {
    "dropout-rate": (RATE, 0.0),
    "pos-dropout-rate": (RATE, 0.0),
    "att-dropout-rate": (RATE, 0.0),
}


def _convolution(part: str, window: Kind, stride: Kind) -> BlockType:
    return BlockType(
        (part,),
        {"idim": COUNT, "odim": COUNT, "kernel_size": window},
        {
            "stride": (stride, 1),
            "dilation": (window, 1),
            "groups": (COUNT, 1),
            "bias": (FLAG, True),
            "use-batch-norm": (FLAG, False),
            # what a file of ESPnet1 means that lacks it; see parse_block
            "use-relu": (FLAG, False),
            "dropout-rate": (RATE, 0.0),
        },
        ("idim", "odim"),
    )


BLOCK_TYPES = {
    "conv1d": _convolution("encoder", COUNTS, COUNTS),
    "causal-conv1d": _convolution("decoder", COUNT, ONE),
    "transformer": BlockType(("encoder", "decoder"), _ATTENDING, _RATES),
    "conformer": BlockType(
        ("encoder",),
        {**_ATTENDING, "macaron_style": FLAG, "use_conv_mod": FLAG},
        {**_RATES, "conv_mod_kernel": (ODD, None)},
    ),
}
CONVOLVING = ("conv1d", "causal-conv1d")


def parse_block(text: str) -> dict[str, Any]:
    """A block as users write it, a YAML mapping; ``(3, 7)`` is a list, too.

    Without ``use-relu`` a convolution has a ReLU, as the documentation has always said.
    ESPnet1's code had none, so that is what its model.json means; the value is written
    out here, for our model.json to be of one meaning.

    Raises:
        ValueError: not a mapping, or a key is given in two spellings.
    """
    block: dict[str, Any] = {}
    for key, value in parse_mapping(TUPLE.sub(r"[\1]", text)).items():
        name = _spelled(key)
        if name in block:
            raise ValueError(f"'{name}' is given twice, once as '{key}'; leave one out")
        block[name] = value
    if _spelled_type(block) in CONVOLVING:
        block.setdefault("use-relu", True)
    return block


def _spelled(key: Any) -> str:
    """A key in ESPnet1's spelling; - and _ are the same."""
    known = {
        name.replace("-", "_"): name
        for kind in BLOCK_TYPES.values()
        for name in (*kind.required, *kind.optional)
    }
    known.update((a.replace("-", "_"), b) for a, b in OTHER_KEYS.items())
    return known.get(str(key).replace("-", "_"), str(key))


def _spelled_type(block: Block) -> Any:
    name = block.get("type")
    return OTHER_TYPES.get(str(name), name)


def checked_blocks(
    given: Sequence[Block] | None, part: str, repeat: int
) -> list[dict[str, Any]]:
    """The blocks of one part with all their keys, repeated.

    Args:
        given: blocks as the options hold them.
        part: ``enc`` or ``dec``.
        repeat: how often the list is repeated.

    Raises:
        UserError: no blocks, a wrong or missing key or value, or sizes that do not
            follow on each other. The message names block and key.
    """
    option = f"{part}-block-arch"
    if not given:
        custom = "etype" if part == "enc" else "dtype"
        raise UserError(
            f"{option}: is missing; {custom} 'custom' needs a list of blocks"
        )
    if not isinstance(given, (list, tuple)):
        raise UserError(f"{option}: must be a list of blocks, '- type: ...'")
    blocks = [_checked(block, part, number) for number, block in enumerate(given, 1)]
    numbered = list(enumerate(blocks, 1))
    if repeat > 1:
        numbered.append(numbered[0])  # the first one follows on the last one then
    for (before, one), (number, other) in pairwise(numbered):
        (out, size), (into, wanted) = _size(one, 1), _size(other, 0)
        if size != wanted:
            again = f" ({part}-block-repeat {repeat})" if number == 1 else ""
            raise UserError(
                f"{option}: block {before} ({one['type']}) has {out} {size}, but block"
                f" {number} ({other['type']}), which follows{again}, has {into}"
                f" {wanted}; they must be the same"
            )
    attending = {block["type"] for block in blocks} - set(CONVOLVING)
    if len(attending) > 1:
        raise UserError(
            f"{option}: has blocks of type transformer and of type conformer; only one"
            " of the two can be used in one part"
        )
    return blocks * max(1, repeat)


def _size(block: Block, end: int) -> tuple[str, int]:
    """Key and value of a block's input (0) or output (1) size."""
    key = BLOCK_TYPES[block["type"]].sizes[end]
    return key, block[key]


def input_size(block: Block) -> int:
    """Size D of what a block takes."""
    return _size(block, 0)[1]


def output_size(block: Block) -> int:
    """Size D of what a block gives."""
    return _size(block, 1)[1]


def _checked(given: Any, part: str, number: int) -> dict[str, Any]:
    """One block with all its keys."""
    option = f"{part}-block-arch"
    if not isinstance(given, Mapping):
        raise UserError(f"{option}: block {number}: must be a mapping, is {given!r}")
    block = {_spelled(key): value for key, value in given.items()}
    allowed = [n for n, kind in BLOCK_TYPES.items() if PARTS[part] in kind.parts]
    if "type" not in block:
        raise UserError(
            f"{option}: block {number}: key 'type' is missing; it is one of"
            f" {', '.join(allowed)}"
        )
    name = _spelled_type(block)
    if name not in allowed:
        message = one_of("type", name, allowed)
        raise UserError(f"{option}: block {number}: {message} in the {PARTS[part]}")
    kind = BLOCK_TYPES[name]
    where = f"{option}: block {number} ({name})"
    kinds = {**kind.required, **{key: k for key, (k, _) in kind.optional.items()}}
    for key, value in block.items():
        if key == "type":
            continue
        if key not in kinds:
            hint = did_you_mean(key, kinds)
            raise UserError(
                f"{where}: unknown key '{key}'{hint}; there are {', '.join(kinds)}"
            )
        if not kinds[key].allows(value) and not (
            value is None and key in kind.optional
        ):
            raise UserError(f"{where}: {key}: {value!r} must be {kinds[key].words}")
    missing = [key for key in kind.required if key not in block]
    if block.get("use_conv_mod") and block.get("conv_mod_kernel") is None:
        missing.append("conv_mod_kernel")
    if missing:
        raise UserError(
            f"{where}: key '{missing[0]}' is missing; it must be"
            f" {kinds[missing[0]].words}"
        )
    defaults = {key: default for key, (_, default) in kind.optional.items()}
    given_values = {key: value for key, value in block.items() if value is not None}
    block = {**defaults, **given_values, "type": name}
    _check_together(block, where)
    return block


def _check_together(block: Block, where: str) -> None:
    """Refuse values of one block that do not fit together."""
    if "heads" in block:
        if block["d_hidden"] % block["heads"]:
            raise UserError(
                f"{where}: heads: {block['heads']} does not divide d_hidden"
                f" {block['d_hidden']}; each head gets an equal share of it"
            )
        return
    for key in ("idim", "odim"):
        if block[key] % block["groups"]:
            raise UserError(
                f"{where}: groups: {block['groups']} does not divide {key} {block[key]}"
            )
    windows(block, where)


def windows(block: Block, where: str = "conv1d") -> list[tuple[int, int, int]]:
    """Kernel, stride and dilation of each convolution of a block.

    A list stands for a stack of convolutions, one per entry.

    Raises:
        UserError: lists of unequal lengths.
    """
    values = {
        key: list(v) if isinstance(v := block[key], (list, tuple)) else [v]
        for key in ("kernel_size", "stride", "dilation")
    }
    depth = max(map(len, values.values()))
    for key, entries in values.items():
        if len(entries) not in (1, depth):
            longest = next(k for k, v in values.items() if len(v) == depth)
            raise UserError(
                f"{where}: {key}: {entries} has {len(entries)} entries, but {longest}"
                f" has {depth}; lists must be of one length, or a single number"
            )
    columns = (v * depth if len(v) == 1 else v for v in values.values())
    return [(k, s, d) for k, s, d in zip(*columns, strict=True)]
