"""Line by line work on Kaldi's text tables, behind its small scripts."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_lines, split_key, split_words


def write_lines(path: str | Path | None, lines: Iterable[str]) -> None:
    """Write lines without their ends to a file, or to stdout (None or ``-``)."""
    if path is None or str(path) == "-":
        with open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False) as stream:
            stream.writelines(line + "\n" for line in lines)
        return
    with atomic_write(path) as stream:
        stream.writelines(line + "\n" for line in lines)


def write_table(path: str | Path, table: Mapping[str, str]) -> None:
    """Write ``<key> <value>`` lines in the C locale's order."""
    keys = sorted(table)  # code points, which is also the order of the UTF-8 bytes
    write_lines(path, (f"{key} {table[key]}".rstrip(" ") for key in keys))


def parse_fields(text: str) -> slice:
    """Kaldi's field range, counted from 1: ``2``, ``2-``, ``-3`` or ``2-3``.

    Raises:
        ValueError: it is none of these.
    """
    first, dash, last = text.partition("-")
    wanted = [part for part in (first, last) if part]
    numbers = [int(part) for part in wanted if part.isdecimal()]
    in_order = numbers == sorted(numbers) and min(numbers, default=0) >= 1
    if not wanted or len(numbers) < len(wanted) or not in_order:
        raise ValueError(f"'{text}' is not a range of fields such as 2, 2- or 2-3")
    start = int(first) - 1 if first else 0
    stop = None if dash and not last else int(last or first)
    return slice(start, stop)


def fields_type(text: str) -> slice:
    """:func:`parse_fields` as the type of an argparse argument."""
    try:
        return parse_fields(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def read_map(path: str | Path) -> dict[str, str]:
    """Read ``<key> <value>`` lines; the value may be empty.

    Raises:
        UserError: a key has two values (``file:line``).
    """
    table: dict[str, str] = {}
    for number, line in read_lines(path):
        key, value = split_key(line)
        if table.setdefault(key, value) != value:
            raise UserError(
                f"{path}:{number}: '{key}' stands for '{table[key]}' already"
            )
    return table


def filter_lines(
    lines: Iterable[tuple[int, str]],
    keys: Collection[str],
    *,
    field: int = 1,
    exclude: bool = False,
    name: str = "stdin",
) -> Iterator[str]:
    """The lines whose word number ``field`` is in ``keys`` (or is not: ``exclude``).

    Raises:
        UserError: a line has no such word.
    """
    for number, line in lines:
        key = line.partition(" ")[0] if field == 1 else ""
        if not key or "\t" in key:
            words = split_words(line)
            if len(words) < field:
                raise UserError(f"{name}:{number}: has no field {field}: '{line}'")
            key = words[field - 1]
        if (key in keys) is not exclude:
            yield line


def map_fields(
    lines: Iterable[tuple[int, str]],
    table: Mapping[str, str],
    *,
    fields: slice | None = None,
    missing: str | None = None,
    keep_missing: bool = False,
    what: str = "the map",
    name: str = "stdin",
    missed: Counter[str] | None = None,
) -> Iterator[str]:
    """Replace words of each line by their value in a table.

    Args:
        lines: numbered lines.
        table: word -> what to write for it, may be several words.
        fields: which words; all by default.
        missing: the value of words that the table lacks.
        keep_missing: leave such words as they are.
        what: the table's name in messages.
        name: the name of the lines in messages.
        missed: counts the words that the table lacks.

    Raises:
        UserError: a word is not in the table, without ``missing`` and ``keep_missing``.
    """
    for number, line in lines:
        words = split_words(line)
        chosen = words if fields is None else words[fields]
        mapped = [table.get(word) for word in chosen]
        if None in mapped:
            lacking = [word for word in chosen if word not in table]
            if missing is None and not keep_missing:
                raise UserError(f"{name}:{number}: '{lacking[0]}' is not in {what}")
            if missed is not None:
                missed.update(lacking)
            mapped = [
                (word if keep_missing else missing) if value is None else value
                for word, value in zip(chosen, mapped, strict=True)
            ]
        words[slice(None) if fields is None else fields] = mapped  # type: ignore[assignment]
        yield " ".join(words)


def spk2utt_of(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """``{utterance: speaker}`` -> ``{speaker: "utterance utterance ..."}``."""
    utterances: dict[str, list[str]] = {}
    for utterance, speaker in utt2spk.items():
        utterances.setdefault(speaker, []).append(utterance)
    return {speaker: " ".join(keys) for speaker, keys in utterances.items()}


def split_evenly(count: int, parts: int) -> list[range]:
    """Consecutive ranges of ``count`` things; the first ones have one more.

    Raises:
        UserError: there are more parts than things.
    """
    if parts > count:
        raise UserError(
            f"cannot split {count} lines into {parts} parts; use at most {count}"
        )
    size, more = divmod(count, parts)
    starts = [i * size + min(i, more) for i in range(parts + 1)]
    return [range(a, b) for a, b in pairwise(starts)]


def split_by_speaker(speakers: Sequence[str], parts: int) -> list[list[int]]:
    """Deal things out so that no speaker is in two parts and the sizes are near.

    Args:
        speakers: the speaker of each thing.
        parts: how many parts.

    Returns:
        The positions in each part; each part has at least one speaker.

    Raises:
        UserError: there are fewer speakers than parts.
    """
    of_speaker: dict[str, list[int]] = {}
    for i, speaker in enumerate(speakers):
        of_speaker.setdefault(speaker, []).append(i)
    if len(of_speaker) < parts:
        raise UserError(
            f"cannot split {len(of_speaker)} speakers into {parts} parts; use at most "
            f"{len(of_speaker)}, or split by utterance (--per-utt)"
        )
    result: list[list[int]] = [[] for _ in range(parts)]
    part, left, done = 0, len(of_speaker), 0
    for positions in of_speaker.values():
        # On to the next part once this one is nearer to its share without the speaker,
        # and in any case while each later part can still get one.
        end = len(speakers) * (part + 1) / parts
        over = done + len(positions) / 2 > end
        if result[part] and part < parts - 1 and (over or left < parts - part):
            part += 1
        result[part].extend(positions)
        done += len(positions)
        left -= 1
    return result
