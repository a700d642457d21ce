"""Kaldi data directories: which tables they hold, and how those are read and written.

A table has lines ``<key> <value>`` in the C locale's order. The keys are utterances,
speakers, or recordings (of which ``segments`` cuts utterances).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from espnet.data.datadir_tables import read_map, spk2utt_of, write_table
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import shorten, split_key

KINDS = {
    "spk": ("spk2*", "cmvn.scp"),
    "rec": ("reco2*",),
    "utt": ("text", "text_spk*", "segments", "utt2*", "*.scp"),
}
PLAIN_FILES = ("filetype",)


class Problem(NamedTuple):
    """Something wrong in a table, and what to do; line 0 means the whole file."""

    path: Path
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{place}: {self.what}; {self.remedy}"


class Scan(NamedTuple):
    """A table as far as it can be read: of a key's lines the first counts."""

    path: Path
    entries: dict[str, str]
    lines: dict[str, int]
    problems: list[Problem]
    unreadable: list[Problem]  # those that no program can repair


def table_kinds(directory: Path, extra: Collection[str] = ()) -> dict[str, str]:
    """The tables in a data directory and what each one's keys are: utt, spk or rec.

    Raises:
        UserError: there is no such directory.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no such data directory")
    kinds = {}
    for path in sorted(directory.iterdir()):
        kind = _kind(path.name, extra)
        if kind is not None and path.is_file():
            kinds[path.name] = kind
    if "segments" in kinds and "wav.scp" in kinds:
        kinds["wav.scp"] = "rec"
    return kinds


def _kind(name: str, extra: Collection[str]) -> str | None:
    if name in extra:
        return "utt"
    for kind, patterns in KINDS.items():
        if any(fnmatch(name, pattern) for pattern in patterns):
            return kind
    return None


def read_table(path: Path) -> dict[str, str]:
    """A table of a directory that was checked before; a value may be empty.

    Raises:
        UserError: missing, not UTF-8, or a key with two values.
    """
    table = read_map(path)
    if "" in table:
        raise UserError(f"{path}: has an empty line; run utils/fix_data_dir.sh first")
    return table


def read_numbers(path: Path, wanted: Iterable[str] = ()) -> dict[str, float]:
    """The frames or seconds of utterances, as ``utt2num_frames`` and ``utt2dur`` hold.

    Args:
        path: the table.
        wanted: utterances that must be in it.

    Raises:
        UserError: as :func:`read_table`.
        DataError: every line without a number, and every utterance that is missing.
    """
    numbers: dict[str, float] = {}
    problems = []
    for key, value in read_table(path).items():
        try:
            numbers[key] = float(value)
        except ValueError:
            problems.append(f"'{key}' has '{value}', which is no number")
            continue
        if not 0.0 <= numbers[key] < float("inf"):
            problems.append(f"'{key}' has {value}, must be 0 or more")
    if not problems:
        problems = [f"has no line for '{key}'" for key in wanted if key not in numbers]
    if problems:
        remedy = "delete this file and make it again"
        raise DataError(shorten([f"{path}: {text}; {remedy}" for text in problems]))
    return numbers


def recording_of(segment: str) -> str:
    """The recording in a value of ``segments``."""
    return segment.partition(" ")[0]


def write_parts(src: Path, parts: Mapping[Path, Sequence[str]]) -> None:
    """Write the directories that hold some utterances of ``src``, with all its tables.

    Args:
        src: the data directory.
        parts: new directory -> its utterances. Tables there that ``src`` has not go.

    Raises:
        UserError: a part is empty or is ``src`` itself, or a table is wrong.
    """
    kinds = table_kinds(src)
    utt2spk = read_table(src / "utt2spk")
    segments = read_table(src / "segments") if "segments" in kinds else {}
    keys: dict[Path, dict[str, Collection[str]]] = {}
    for dst, utts in parts.items():
        if not utts:
            raise UserError(f"{dst}: no utterance of {src} would be in it")
        if dst.resolve() == src.resolve():
            raise UserError(f"{dst}: is both what is read and what is written")
        recordings: Collection[str] = utts
        if segments:
            recordings = {recording_of(segments[u]) for u in utts if u in segments}
        speakers = {utt2spk[utt] for utt in utts}
        keys[dst] = {"utt": utts, "rec": recordings, "spk": speakers}
        dst.mkdir(parents=True, exist_ok=True)
        remove_tables(dst, set(table_kinds(dst)) - set(kinds))
    for name, kind in kinds.items():
        table = read_table(src / name) if name != "spk2utt" else {}
        for dst in parts:
            wanted = {key: table[key] for key in keys[dst][kind] if key in table}
            if name != "spk2utt":
                write_table(dst / name, wanted)
            if name == "utt2spk":
                write_table(dst / "spk2utt", spk2utt_of(dict(sorted(wanted.items()))))
    for dst in parts:
        copy_plain_files(src, dst)


def remove_tables(directory: Path, names: set[str]) -> None:
    """Delete tables of an earlier run, which would not fit to those written now."""
    for name in names:
        (directory / name).unlink()


def copy_plain_files(src: Path, dst: Path) -> None:
    """Copy what is no table."""
    for name in PLAIN_FILES:
        if (src / name).is_file():
            with atomic_write(dst / name, "wb") as stream:
                stream.write((src / name).read_bytes())


# What a tidy line cannot have; tabs and double blanks are allowed inside a command.
_UNTIDY = re.compile(r"[\t\r]|^ | $|  ")
_FORMATS = (
    ("carriage returns (made on Windows?)", re.compile(r"\r")),
    ("tabs", re.compile(r"\t")),
    ("blanks at the start or end", re.compile(r"^ | \r?$")),
    ("several blanks in a row", re.compile(r"  ")),
)
_FIX = "utils/fix_data_dir.sh {} repairs it"


def scan(path: Path) -> Scan:
    """Read a table, whatever is wrong with it, and list that."""
    result = Scan(path, {}, {}, [], [])
    fix = _FIX.format(path.parent)
    untidy: dict[str, list[int]] = {}
    previous = ""
    for number, line in enumerate(_decoded_lines(result), 1):
        if _UNTIDY.search(line):
            for name in _untidiness(line, is_list=not path.name.endswith(".scp")):
                untidy.setdefault(name, []).append(number)
        key, value = split_key(line)
        if not key:
            untidy.setdefault("empty lines", []).append(number)
        elif key in result.entries:
            first = result.lines[key]
            what = f"'{key}' is in line {first} already"
            keep = "" if result.entries[key] == value else f" and keeps line {first}"
            result.problems.append(Problem(path, number, what, fix + keep))
        else:
            result.entries[key] = value
            result.lines[key] = number
            if key < previous:
                untidy.setdefault("unsorted lines", []).append(number)
            previous = key
    for name, numbers in untidy.items():
        more = f" (and in {len(numbers) - 1} more lines)" if len(numbers) > 1 else ""
        what = f"has {name}{more}"
        if name == "unsorted lines":
            what = f"is not sorted here{more}, as LC_ALL=C sort would do it"
        result.problems.append(Problem(path, numbers[0], what, fix))
    return result


def _untidiness(line: str, is_list: bool) -> list[str]:
    """The names of what is untidy; only around the key where the value is a command."""
    part = line
    if not is_list:
        key = line.lstrip(" \t").split(" ")[0].split("\t")[0]
        end = line.index(key) + len(key)
        part = line[: end + 2] + line[-1:]
        if len(part) > len(line):
            part = line
    return [name for name, pattern in _FORMATS if pattern.search(part)]


def _decoded_lines(result: Scan) -> list[str]:
    """The lines of the file; those not in UTF-8 are listed as unreadable."""
    raw = result.path.read_bytes()
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
        remedy = _FIX.format(result.path.parent)
        result.problems.append(
            Problem(result.path, 1, "starts with a byte order mark", remedy)
        )
    try:
        lines = raw.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = []
        for number, line in enumerate(raw.split(b"\n"), 1):
            try:
                lines.append(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                what = f"is not UTF-8 (byte 0x{line[error.start]:02x})"
                remedy = "convert the file with iconv -t UTF-8 -f ITS_ENCODING"
                result.unreadable.append(Problem(result.path, number, what, remedy))
                lines.append(line.decode("utf-8", "replace"))
    if lines[-1] == "":
        lines.pop()
    return lines


def refuse_unreadable(scans: Mapping[str, Scan]) -> None:
    """Raise DataError if a table has lines that are not UTF-8."""
    problems = [str(p) for s in scans.values() for p in s.unreadable]
    if problems:
        raise DataError(problems)
