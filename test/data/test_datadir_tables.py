"""Line by line work on tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from espnet.data.datadir_tables import (
    filter_lines,
    map_fields,
    parse_fields,
    read_map,
    spk2utt_of,
    split_by_speaker,
    split_evenly,
    write_table,
)
from espnet.utils.errors import UserError

LINES = [(1, "a x 1"), (2, "b  y\t2"), (3, "c z 3")]


@pytest.mark.parametrize(
    ("text", "words"),
    [("1", "a"), ("2-", "bcd"), ("-2", "ab"), ("2-3", "bc"), ("4-9", "d")],
)
def test_fields(text: str, words: str) -> None:
    assert "abcd"[parse_fields(text)] == words


@pytest.mark.parametrize("text", ["", "-", "0", "a", "3-2", "1-2-3", "-0"])
def test_wrong_fields(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is not a range of fields"):
        parse_fields(text)


def test_filter() -> None:
    assert list(filter_lines(LINES, {"a", "c"})) == ["a x 1", "c z 3"]
    assert list(filter_lines(LINES, {"y"}, field=2)) == ["b  y\t2"]
    assert list(filter_lines(LINES, {"y"}, field=2, exclude=True)) == ["a x 1", "c z 3"]
    with pytest.raises(UserError, match=r"in\.scp:1: has no field 4: 'a x 1'"):
        list(filter_lines(LINES, {"y"}, field=4, name="in.scp"))


def test_map_fields() -> None:
    table = {"x": "1", "y": "2 2", "a": "0"}
    second = parse_fields("2")
    mapped = map_fields(LINES[:2], table, fields=second)
    assert list(mapped) == ["a 1 1", "b 2 2 2"]
    missed: Counter[str] = Counter()
    mapped = map_fields(LINES, table, fields=second, missing="9", missed=missed)
    assert list(mapped) == ["a 1 1", "b 2 2 2", "c 9 3"]
    assert missed == {"z": 1}
    mapped = map_fields(LINES, table, keep_missing=True)
    assert list(mapped) == ["0 1 1", "b 2 2 2", "c z 3"]
    with pytest.raises(UserError, match="in:3: 'z' is not in syms"):
        list(map_fields(LINES, table, fields=second, what="syms", name="in"))


def test_read_map_refuses_two_values(tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_text("a 1\nb 2\na 1\nb 3\n")
    with pytest.raises(UserError, match="map:4: 'b' stands for '2' already"):
        read_map(path)


def test_tables_are_written_in_the_order_of_bytes(tmp_path: Path) -> None:
    keys = ["b", "a", "B", "a-1", "a1", "é", "\U0001f600", "\uffee", "a_1"]
    write_table(tmp_path / "t", dict.fromkeys(keys, ""))
    assert (tmp_path / "t").read_bytes().split() == sorted(k.encode() for k in keys)


def test_spk2utt() -> None:
    assert spk2utt_of({"a": "s", "b": "t", "c": "s"}) == {"s": "a c", "t": "b"}


def test_even_parts() -> None:
    assert split_evenly(7, 3) == [range(3), range(3, 5), range(5, 7)]
    with pytest.raises(UserError, match="cannot split 2 lines into 3 parts; use at"):
        split_evenly(2, 3)


@pytest.mark.parametrize(
    ("speakers", "parts"),
    [("aabbccdd", 4), ("aaaaaabcd", 4), ("abcdeeeeee", 3), ("abababab", 2), ("abc", 3)],
)
def test_parts_by_speaker(speakers: str, parts: int) -> None:
    result = split_by_speaker(speakers, parts)
    assert len(result) == parts
    assert all(result)
    assert sorted(i for part in result for i in part) == list(range(len(speakers)))
    owners = [{speakers[i] for i in part} for part in result]
    assert sum(len(o) for o in owners) == len(set(speakers))


def test_parts_by_speaker_are_near_in_size() -> None:
    speakers = [f"s{i // 10:03d}" for i in range(1000)]
    assert {len(part) for part in split_by_speaker(speakers, 8)} == {120, 130}


def test_fewer_speakers_than_parts() -> None:
    with pytest.raises(UserError, match=r"2 speakers into 3 parts.*\(--per-utt\)"):
        split_by_speaker("aabb", 3)
