"""Join scp files and JSON files into data.json, utterance by utterance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from espnet.data.manifest import Utts, read_utts
from espnet.utils.errors import DataError, UserError, one_of
from espnet.utils.lines import read_table, shorten


def parse_shape(text: str) -> list[int]:
    """``3,5`` -> [3, 5]."""
    return [int(number) for number in text.split(",")]


VALUE_TYPES: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "shape": parse_shape,
}


class Side(NamedTuple):
    """The keys of lengths and dimensions, and how entries are called."""

    length: str
    dim: str
    name: str


SIDES = {
    "input": Side("ilen", "idim", "input"),
    "output": Side("olen", "odim", "target"),
}


class Column(NamedTuple):
    """A scp file, the key that its values get, and their type."""

    key: str
    path: str
    type: str = "str"

    @classmethod
    def parse(cls, text: str) -> Column:
        """Read ``key:file`` or ``key:file:type``.

        Raises:
            UserError: another form, or no such type.
        """
        key, _, rest = text.partition(":")
        path, colon, kind = rest.rpartition(":")
        if not colon:
            path, kind = rest, "str"
        if not (key and path):
            raise UserError(f"'{text}': must have the form key:file or key:file:type")
        if kind not in VALUE_TYPES:
            raise UserError(f"'{text}': " + one_of("type", kind, VALUE_TYPES))
        return cls(key, path, kind)

    def read(self, allow_empty: bool) -> dict[str, Any]:
        """Key -> value of the right type.

        Raises:
            DataError: every line that is wrong.
        """
        convert = VALUE_TYPES[self.type]
        values: dict[str, Any] = {}
        problems = []
        for line, (key, text) in enumerate(
            read_table(self.path, allow_empty=allow_empty).items(), 1
        ):
            try:
                values[key] = convert(text)
            except ValueError:
                problems.append(f"{self.path}:{line}: '{text}' is no {self.type}")
        if problems:
            raise DataError(shorten(problems))
        return values


def merge_scps(
    inputs: Sequence[Sequence[Column]],
    outputs: Sequence[Sequence[Column]],
    others: Sequence[Column],
    allow_one_column: bool = False,
) -> Utts:
    """Make one entry from line n of all files, for every n.

    Args:
        inputs: for each ``input`` of an utterance its columns.
        outputs: the same for ``output``.
        others: columns beside them.
        allow_one_column: a line may hold a key only; its value is then empty.

    Raises:
        UserError: no file.
        DataError: the keys of two files differ, or bad lines.
    """
    columns = [column for group in (*inputs, *outputs, others) for column in group]
    if not columns:
        raise UserError("no scp file given")
    tables = {column: column.read(allow_one_column) for column in columns}
    first = columns[0]
    problems = [
        problem
        for column in columns[1:]
        for problem in _different_keys(first, tables[first], column, tables[column])
    ]
    if problems:
        raise DataError(problems)

    def values(utt: str, group: Sequence[Column]) -> dict[str, Any]:
        return {column.key: tables[column][utt] for column in group}

    def parts(utt: str, side: str, groups: Sequence[Sequence[Column]]) -> list[Any]:
        return [
            {"name": f"{SIDES[side].name}{i}", **values(utt, group)}
            for i, group in enumerate(groups, 1)
        ]

    return {
        utt: {
            "input": parts(utt, "input", inputs),
            "output": parts(utt, "output", outputs),
            **values(utt, others),
        }
        for utt in tables[first]
    }


def _different_keys(
    one: Column, keys: Iterable[str], other: Column, others: Iterable[str]
) -> Iterator[str]:
    """The first line in which two files differ, if there is one."""
    for line, (key, there) in enumerate(zip_longest(keys, others), 1):
        if key != there:
            here, there = (f"'{k}'" if k else "no line" for k in (key, there))
            yield (
                f"{other.path}:{line}: has {there}, but {one.path}:{line} has {here}; "
                "the files must have the same keys in the same order"
            )
            return


def common_ids(named: Mapping[str, Utts]) -> list[str]:
    """Ids that all files have, sorted; a warning tells what each loses.

    Args:
        named: name of a file -> its utterances.
    """
    common = set.intersection(*(set(utts) for utts in named.values()))
    for name, utts in named.items():
        lost = sorted(set(utts) - common)
        if lost:
            logging.warning(
                f"{name}: {len(lost)} of {len(utts)} utterances are not in all files "
                f"and are dropped: {' '.join(lost[:10])}{' ...' * (len(lost) > 10)}"
            )
    return sorted(common)


def add_json(named: Mapping[str, Utts], side: str) -> Utts:
    """Add to the first file's utterances one entry made of all the others.

    Args:
        named: name of a file -> utterances; those after the first are flat, as
            scp2json.py makes them: id -> {key: value}.
        side: ``input`` or ``output``, where the entry is appended.
    """
    base, *additions = named.values()
    utts: Utts = {}
    for utt in common_ids(named):
        merged = {"input": [], "output": [], "utt2spk": "", **base[utt]}
        flat = _union(addition[utt] for addition in additions)
        entry = _entry(flat, side, len(merged[side]) + 1)
        utts[utt] = {**merged, side: [*merged[side], entry]}
    return utts


def merge_flat(
    inputs: Sequence[Sequence[str]],
    outputs: Sequence[Sequence[str]],
    others: Sequence[str],
) -> Utts:
    """Join flat JSON files: a group of files makes one entry.

    Args:
        inputs: for each ``input`` of an utterance the names of its files.
        outputs: the same for ``output``.
        others: files whose keys stand beside them.

    Raises:
        UserError: no file, or one that is not ``{"utts": {id: {key: value}}}``.
    """
    paths = [path for group in (*inputs, *outputs, others) for path in group]
    if not paths:
        raise UserError("no JSON file given")
    named = {path: read_utts(path) for path in paths}

    def parts(utt: str, side: str, groups: Sequence[Sequence[str]]) -> list[Any]:
        return [
            _entry(_union(named[path][utt] for path in group), side, i)
            for i, group in enumerate(groups, 1)
        ]

    return {
        utt: {
            "input": parts(utt, "input", inputs),
            "output": parts(utt, "output", outputs),
            **_union(named[path][utt] for path in others),
        }
        for utt in common_ids(named)
    }


def _union(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for mapping in mappings for key, value in mapping.items()}


def _entry(flat: dict[str, Any], side: str, number: int) -> dict[str, Any]:
    """``ilen`` and ``idim``, ``idim`` alone or a text ``shape`` become a shape."""
    rest = dict(flat)
    names = SIDES[side]
    try:
        if names.dim in rest:
            sizes = [rest.pop(key) for key in (names.length, names.dim) if key in rest]
            rest["shape"] = [int(size) for size in sizes]
        elif isinstance(rest.get("shape"), str):
            rest["shape"] = parse_shape(rest["shape"])
    except ValueError as error:
        raise UserError(f"{side}: wrong size or shape: {error}") from None
    return {**rest, "name": f"{names.name}{number}"}
