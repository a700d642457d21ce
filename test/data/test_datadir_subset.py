"""Data directories of some utterances of another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet.data.datadir_subset import (
    SUBSETS,
    lengths_between,
    select,
    split,
    subset,
)
from espnet.utils.errors import DataError, UserError

SPEAKERS = {"s1": 4, "s2": 3, "s3": 3}
UTTS = [f"{spk}-{n}" for spk, count in SPEAKERS.items() for n in range(count)]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """Ten utterances of three speakers, cut from one recording a speaker."""
    tables = {
        "text": {utt: f"WORDS {utt}" for utt in UTTS},
        "utt2spk": {utt: utt[:2] for utt in UTTS},
        "segments": {utt: f"r{utt[1]} {utt[3]} {int(utt[3]) + 1}" for utt in UTTS},
        "wav.scp": {f"r{n}": f"r{n}.wav" for n in (1, 2, 3)},
        "spk2gender": dict.fromkeys(SPEAKERS, "f"),
        "utt2num_frames": {utt: str(100 - i) for i, utt in enumerate(UTTS)},
    }
    path = tmp_path / "src"
    path.mkdir()
    for name, table in tables.items():
        lines = (f"{key} {value}\n" for key, value in table.items())
        (path / name).write_text("".join(lines))
    (path / "spk2utt").write_text("left out of the reading\n")
    (path / "filetype").write_text("mat\n")
    return path


def keys(path: Path) -> list[str]:
    """The first words of a table."""
    return [line.split()[0] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("how", "count", "expected"),
    [
        ("first", 3, UTTS[:3]),
        ("last", 3, UTTS[-3:]),
        ("shortest", 4, UTTS[-4:]),
        ("per-spk", 2, ["s1-0", "s1-2", "s2-0", "s2-1", "s3-0", "s3-1"]),
        ("per-spk", 4, UTTS),
        ("first", 10, UTTS),
    ],
)
def test_subsets(src: Path, how: str, count: int, expected: list[str]) -> None:
    dst = src.parent / "dst"
    subset(src, dst, count, how)
    for name in ("text", "utt2spk", "segments", "utt2num_frames"):
        assert keys(dst / name) == expected
    speakers = sorted({utt[:2] for utt in expected})
    assert keys(dst / "spk2utt") == speakers
    assert keys(dst / "spk2gender") == speakers
    assert keys(dst / "wav.scp") == [f"r{spk[1]}" for spk in speakers]
    assert (dst / "spk2utt").read_text().split() == [
        word
        for spk in speakers
        for word in [spk, *(utt for utt in expected if utt[:2] == spk)]
    ]
    assert (dst / "filetype").read_text() == "mat\n"


def test_random_subsets_repeat_and_follow_the_seed(src: Path) -> None:
    def chosen(seed: int) -> list[str]:
        subset(src, src.parent / "dst", 5, "random", seed)
        return keys(src.parent / "dst/text")

    assert chosen(0) == chosen(0)
    assert len({tuple(chosen(seed)) for seed in range(8)}) > 1
    assert chosen(3) == sorted(chosen(3))
    assert len(chosen(3)) == 5


@pytest.mark.parametrize("seed", range(4))
def test_whole_speakers(src: Path, seed: int) -> None:
    subset(src, src.parent / "dst", 4, "speakers", seed)
    utts = keys(src.parent / "dst/text")
    speakers = {utt[:2] for utt in utts}
    assert len(utts) == sum(SPEAKERS[spk] for spk in speakers) >= 4
    assert len(utts) - max(SPEAKERS[spk] for spk in speakers) < 4


@pytest.mark.parametrize("how", SUBSETS)
def test_too_many(src: Path, how: str) -> None:
    with pytest.raises(UserError, match="has 10 utterances, 11 are wanted"):
        subset(src, src.parent / "dst", 11, how)
    with pytest.raises(UserError, match="must be at least 1, got 0"):
        subset(src, src.parent / "dst", 0, how)


def test_shortest_needs_lengths(src: Path) -> None:
    (src / "utt2num_frames").unlink()
    with pytest.raises(UserError, match=r"has neither utt2num_frames nor utt2dur; run"):
        subset(src, src.parent / "dst", 1, "shortest")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (("100", "x"), "'s1-0' has 'x', which is no number; delete this file and make"),
        (("100", "nan"), "'s1-0' has nan, must be 0 or more"),
        (("s1-0 100\n", ""), "has no line for 's1-0'; delete this file and make"),
    ],
)
def test_damaged_lengths(src: Path, damage: tuple[str, str], words: str) -> None:
    path = src / "utt2num_frames"
    path.write_text(path.read_text().replace(*damage))
    with pytest.raises(DataError) as error:
        subset(src, src.parent / "dst", 2, "shortest")
    assert f"{path}: {words}" in str(error.value)


def test_an_earlier_run_leaves_no_table(src: Path) -> None:
    dst = src.parent / "dst"
    dst.mkdir()
    (dst / "feats.scp").write_text("old old.ark:1\n")
    (dst / "notes").write_text("mine\n")
    subset(src, dst, 2, "first")
    assert not (dst / "feats.scp").exists()
    assert (dst / "notes").exists()


def test_lists(src: Path) -> None:
    dst = src.parent / "dst"
    assert select(src, dst, ["s2-1", "s9-9", "s1-3"]) == ["s9-9"]
    assert keys(dst / "text") == ["s1-3", "s2-1"]
    assert select(src, dst, ["s3", "s7"], by="speaker") == ["s7"]
    assert keys(dst / "text") == [utt for utt in UTTS if utt[:2] == "s3"]
    with pytest.raises(UserError, match="my list: names no speaker of"):
        select(src, dst, ["s1-0"], by="speaker", source="my list")


def test_split_keeps_speakers_together(src: Path) -> None:
    top = split(src, 3)
    assert top == src / "split3"
    parts = [keys(top / n / "text") for n in "123"]
    assert [utt for part in parts for utt in part] == UTTS
    assert [keys(top / n / "spk2utt") for n in "123"] == [["s1"], ["s2"], ["s3"]]
    assert keys(top / "2/wav.scp") == ["r2"]


def test_split_by_utterance(src: Path) -> None:
    top = split(src, 4, per_utt=True)
    assert top == src / "split4utt"
    parts = [keys(top / n / "text") for n in "1234"]
    assert [utt for part in parts for utt in part] == UTTS
    assert [len(part) for part in parts] == [3, 3, 2, 2]


def test_split_into_too_many(src: Path) -> None:
    with pytest.raises(UserError, match=r"src: cannot split 3 speakers into 4 parts"):
        split(src, 4)
    with pytest.raises(UserError, match="src: cannot split 10 lines into 11 parts"):
        split(src, 11, per_utt=True)
    with pytest.raises(UserError, match="the number of parts must be at least 1"):
        split(src, 0)
    assert not list(src.glob("split*"))


def test_the_source_is_not_overwritten(src: Path) -> None:
    with pytest.raises(UserError, match="is both what is read and what is written"):
        subset(src, src / "../src", 2)
    assert len(keys(src / "text")) == 10


def test_limits_are_strict() -> None:
    frames = {"a": 10.0, "b": 11.0, "c": 99.0, "d": 100.0, "e": 50.0, "f": 50.0}
    characters = {"a": 5, "b": 5, "c": 5, "d": 5, "e": 0, "f": 20}
    limits = {"minframes": 10, "maxframes": 100, "minchars": 0, "maxchars": 20}
    kept, why = lengths_between(frames, characters, **limits)
    assert kept == ["b", "c"]
    assert why == {
        "10 frames or fewer": 1,
        "100 frames or more": 1,
        "0 characters or fewer": 1,
        "20 characters or more": 1,
    }
    assert lengths_between(None, characters, **limits)[0] == ["a", "b", "c", "d"]
