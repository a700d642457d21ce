"""data.json: read, check, cut, join, write."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from espnet.data.manifest import (
    dimensions,
    join,
    load_manifest,
    read_utts,
    save_json,
    select,
    split,
)
from espnet.utils.errors import DataError, UserError

ENTRY: dict[str, Any] = {
    "input": [{"feat": "f.ark:6", "name": "input1", "shape": [173, 83]}],
    "output": [
        {
            "name": "target1",
            "shape": [3, 30],
            "text": 'GÖ\t"A"',
            "token": "G Ö A",
            "tokenid": "9 17 29",
        }
    ],
    "utt2spk": "s01",
}


def make(**changes: Any) -> dict[str, Any]:
    """A good entry, with ``input__shape=[1]`` meaning ``input[0].shape``."""
    entry = copy.deepcopy(ENTRY)
    for path, value in changes.items():
        key, _, inner = path.partition("__")
        if inner:
            entry[key][0][inner] = value
        else:
            entry[key] = value
    return entry


def write(path: Path, utts: Any) -> Path:
    path.write_text(json.dumps({"utts": utts}))
    return path


def test_load_returns_the_utterances_in_order(tmp_path: Path) -> None:
    utts = {"b": make(), "a": make(output__tokenid="", output__shape=[0, 30])}
    loaded = load_manifest(write(tmp_path / "data.json", utts))
    assert loaded == utts and list(loaded) == ["b", "a"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": []}, "input: must be a list of at least one mapping, is []"),
        ({"input": "f.ark"}, "input: must be a list of at least one mapping"),
        ({"output": ["A"]}, "output[0]: must be a mapping, is 'A'"),
        ({"output": None}, "output: must be a list of at least one mapping, is None"),
        ({"input__feat": None}, "input[0].feat: must be the place of the features"),
        ({"input__shape": None}, "input[0].shape: must be a list of whole numbers"),
        ({"input__shape": [17.5, 83]}, "input[0].shape: must be a list of whole"),
        ({"input__shape": [0, 83]}, "input[0].shape: [0, 83] is empty; drop the"),
        ({"output__shape": "3,30"}, "output[0].shape: must be a list of whole numbers"),
        (
            {"output__shape": [3, -1]},
            "output[0].shape: must be a list of whole numbers",
        ),
        ({"output__tokenid": [9]}, "output[0].tokenid: must be ids with blanks"),
        ({"output__tokenid": "9 x 1"}, "output[0].tokenid: must be whole numbers"),
        (
            {"output__tokenid": "9 1"},
            "output[0].tokenid: has 2 ids, but shape is [3, 30]",
        ),
        ({"output__tokenid": "9 1 30"}, "output[0].tokenid: has ids outside 0 to 29"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = write(tmp_path / "data.json", {"good": make(), "bad": make(**changes)})
    with pytest.raises(DataError) as caught:
        load_manifest(path)
    assert str(caught.value).startswith(f"{path}: utterance 'bad': {words}")


def test_every_problem_is_reported(tmp_path: Path) -> None:
    utts = {"a": make(input__feat=1, output__shape=1), "b": make(input=1)}
    with pytest.raises(DataError) as caught:
        load_manifest(write(tmp_path / "data.json", utts))
    assert len(caught.value.problems) == 3


def test_targets_may_be_arrays_or_missing_for_decoding(tmp_path: Path) -> None:
    array = make(output=[{"name": "target1", "feat": "t.ark:4", "shape": [7, 80]}])
    load_manifest(write(tmp_path / "data.json", {"a": array}))
    path = write(tmp_path / "data.json", {"a": make(output=[])})
    load_manifest(path, need_output=False)
    with pytest.raises(DataError, match="output: must be"):
        load_manifest(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"utts":\n{"a": }}', "data.json:2: not valid JSON: Expecting value"),
        ("[]", 'data.json: must be {"utts": {...}}, has no mapping'),
        ('{"utts": {"a": 3}}', "data.json: utterance 'a': is not a mapping"),
        ('{"utts": {}}', "data.json: holds no utterance"),
    ],
)
def test_a_file_of_another_form_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(UserError) as caught:
        load_manifest(tmp_path / "data.json")
    assert words in str(caught.value)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: cannot be read: No such file"):
        read_utts(tmp_path / "none")
    (tmp_path / "data.json").write_bytes(b'{"\xe4": 1}')
    with pytest.raises(UserError, match=r"data.json: not UTF-8 text"):
        read_utts(tmp_path / "data.json")


def test_dimensions_are_those_of_the_first_utterance() -> None:
    other = make(input__shape=[9, 40])
    assert dimensions({"a": make(), "b": other}) == (83, 30)
    vector = make(input__shape=[512])
    assert dimensions({"a": vector}) == (512, 30)


@pytest.mark.parametrize("side", ["input", "output"])
def test_missing_dimensions_name_the_file(side: str) -> None:
    with pytest.raises(
        UserError, match=rf"v.json: utterance 'a': {side}\[0\].shape is"
    ):
        dimensions({"a": make(**{side: []})}, "v.json")
    with pytest.raises(UserError, match=r"v.json: holds no utterance"):
        dimensions({}, "v.json")


@pytest.mark.parametrize("number", [1, 2, 3, 7, 10])
def test_split_is_sorted_even_and_larger_first(number: int) -> None:
    utts = {f"u{i}": {"n": i} for i in reversed(range(10))}
    pieces = split(utts, number)
    sizes = [len(piece) for piece in pieces]
    assert [utt for piece in pieces for utt in piece] == sorted(utts)
    assert len(pieces) == number and max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)
    assert pieces[0]["u0"] is utts["u0"]  # not copied
    assert join(pieces) == utts


def test_split_wants_an_utterance_for_each_part() -> None:
    with pytest.raises(UserError, match="1 utterances cannot be split into 2 parts"):
        split({"a": {}}, 2)
    with pytest.raises(UserError, match="parts: 0 must be 1 or more"):
        split({"a": {}}, 0)


def test_select_and_join() -> None:
    utts: dict[str, dict[str, Any]] = {"a": {"n": 1}, "b": {"n": 2}}
    assert list(select(utts, ["b", "a"])) == ["b", "a"]
    with pytest.raises(DataError, match="utterance 'c' is not there"):
        select(utts, ["c"])
    assert list(join([{"b": {}}, {"a": {}}, {"b": {"n": 3}}]).items()) == [
        ("a", {}),
        ("b", {"n": 3}),
    ]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"utts": {}},
        {"utts": {"a": make(), "b": {}}},
        {"utts": {"a": {"x": [], "y": {}, "z": [[1.5, None], {"k": True}], 'q"': -1}}},
        {"b": [1], "a": {"z": {"y": "ä\n"}, "x": float("-inf")}, "utts": {"u": {}}},
    ],
)
def test_save_writes_what_pythons_encoder_writes(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    save_json(content, tmp_path / "new" / "x.json")
    expected = json.dumps(content, indent=4, ensure_ascii=False, sort_keys=True) + "\n"
    assert (tmp_path / "new" / "x.json").read_text(encoding="utf-8") == expected


def test_save_keeps_the_order_of_utterances(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_json({"utts": {"b": {}, "a": {}}}, None)
    text = capsys.readouterr().out
    assert list(json.loads(text)["utts"]) == ["b", "a"]
    with pytest.raises(TypeError):  # nothing half-written is left
        save_json({"utts": {"a": {"n": object()}}}, tmp_path / "x.json")
    assert not list(tmp_path.iterdir())
