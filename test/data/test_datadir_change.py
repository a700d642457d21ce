"""Combining, copying and perturbing data directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet.data.datadir_change import combine, copy, perturb_speed
from espnet.utils.errors import DataError, UserError


def make(path: Path, **tables: str) -> Path:
    """Write tables; ``__`` in a name stands for a dot, ``/`` ends a line."""
    path.mkdir()
    for name, text in tables.items():
        lines = text.replace("/", "\n") + "\n"
        (path / name.replace("__", ".")).write_text(lines)
    return path


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_combine(tmp_path: Path) -> None:
    a = make(tmp_path / "a", utt2spk="b s2/c s2", text="b B/c C", wav__scp="b 1/c 2")
    b = make(tmp_path / "b", utt2spk="a s2/d s1", text="a A/d D", wav__scp="a 3/d 4")
    (b / "spk2gender").write_text("s1 m\ns2 f\n")
    report = combine(tmp_path / "ab", [a, b])
    assert report == [
        f"left out spk2gender, which {a} lack",
        "kept 4 of 4 utterances",
    ]
    assert lines(tmp_path / "ab/text") == ["a A", "b B", "c C", "d D"]
    assert lines(tmp_path / "ab/spk2utt") == ["s1 d", "s2 a b c"]
    assert not (tmp_path / "ab/spk2gender").exists()


def test_combine_completes_segments_and_utt2uniq(tmp_path: Path) -> None:
    a = make(
        tmp_path / "a",
        utt2spk="a s/b s",
        segments="a r 0 1/b r 1 2",
        wav__scp="r r.wav",
        utt2uniq="a x/b x",
    )
    b = make(tmp_path / "b", utt2spk="c t/d t", wav__scp="c 1/d 2", utt2dur="c 3/d 4.5")
    c = make(tmp_path / "c", utt2spk="e t", wav__scp="e 3")
    combine(tmp_path / "all", [a, b, c])
    assert lines(tmp_path / "all/segments") == [
        "a r 0 1",
        "b r 1 2",
        "c c 0 3",
        "d d 0 4.5",
        "e e 0 -1",
    ]
    assert lines(tmp_path / "all/utt2uniq") == ["a x", "b x", "c c", "d d", "e e"]
    assert lines(tmp_path / "all/wav.scp") == ["c 1", "d 2", "e 3", "r r.wav"]


def test_parts_that_share_a_recording_can_be_combined(tmp_path: Path) -> None:
    a = make(tmp_path / "a", utt2spk="a s", segments="a r 0 1", wav__scp="r r.wav")
    b = make(tmp_path / "b", utt2spk="b s", segments="b r 1 2", wav__scp="r r.wav")
    combine(tmp_path / "ab", [a, b])
    assert lines(tmp_path / "ab/wav.scp") == ["r r.wav"]


def test_combine_refuses_two_meanings_of_a_name(tmp_path: Path) -> None:
    a = make(tmp_path / "a", utt2spk="a s/b s", text="a A/b B")
    b = make(tmp_path / "b", utt2spk="a s/c s", text="a X/c C")
    with pytest.raises(DataError) as error:
        combine(tmp_path / "ab", [a, b])
    rename = "rename it, for example with utils/copy_data_dir.sh --utt-prefix"
    assert str(error.value).splitlines() == [
        f"{b}/text: 'a' is in {a}/text already; {rename}",
        f"{b}/utt2spk: 'a' is in {a}/utt2spk already; {rename}",
    ]
    assert not (tmp_path / "ab").exists()


def test_combine_needs_utt2spk(tmp_path: Path) -> None:
    a = make(tmp_path / "a", utt2spk="a s", text="a A")
    b = make(tmp_path / "b", text="b B")
    with pytest.raises(UserError, match="each needs an utt2spk"):
        combine(tmp_path / "ab", [a, b])
    with pytest.raises(UserError, match="is both what is read and what is written"):
        combine(a, [a, b])


def test_combine_drops_incomplete_utterances_unless_told(tmp_path: Path) -> None:
    a = make(tmp_path / "a", utt2spk="a s/b s", text="a A")
    b = make(tmp_path / "b", utt2spk="c s", text="c C")
    combine(tmp_path / "ab", [a, b], skip_fix=True)
    assert lines(tmp_path / "ab/utt2spk") == ["a s", "b s", "c s"]
    combine(tmp_path / "ab", [a, b])
    assert lines(tmp_path / "ab/utt2spk") == ["a s", "c s"]


def test_copy_renames(tmp_path: Path) -> None:
    src = make(
        tmp_path / "src",
        utt2spk="a s/b t",
        text="a A/b B",
        wav__scp="a 1/b 2",
        reco2dur="a 3/b 4",
        cmvn__scp="s c:1/t c:2",
        filetype="mat",
    )
    copy(src, tmp_path / "dst", utt_prefix="p-", utt_suffix="-q", spk_prefix="p-")
    dst = tmp_path / "dst"
    assert lines(dst / "utt2spk") == ["p-a-q p-s", "p-b-q p-t"]
    assert lines(dst / "spk2utt") == ["p-s p-a-q", "p-t p-b-q"]
    assert lines(dst / "wav.scp") == ["p-a-q 1", "p-b-q 2"]
    assert lines(dst / "reco2dur") == ["p-a-q 3", "p-b-q 4"]
    assert lines(dst / "cmvn.scp") == ["p-s c:1", "p-t c:2"]
    assert lines(dst / "filetype") == ["mat"]


def test_copy_does_not_rename_recordings(tmp_path: Path) -> None:
    src = make(tmp_path / "src", utt2spk="a s", segments="a r 0 1", wav__scp="r 1")
    copy(src, tmp_path / "dst", utt_prefix="p-", spk_suffix="-x")
    assert lines(tmp_path / "dst/segments") == ["p-a r 0 1"]
    assert lines(tmp_path / "dst/wav.scp") == ["r 1"]
    assert lines(tmp_path / "dst/utt2spk") == ["p-a s-x"]


def test_speed(tmp_path: Path) -> None:
    src = make(
        tmp_path / "src",
        utt2spk="a s/b s/c s",
        text="a A/b B/c C",
        wav__scp="a x.wav/b sox x.wav -t wav - |/c it's here.wav",
        utt2dur="a 3/b 4.5/c 0.9",
        feats__scp="a f:1/b f:2/c f:3",
        utt2num_frames="a 1/b 2/c 3",
    )
    perturb_speed(src, tmp_path / "dst", "0.9")
    dst = tmp_path / "dst"
    assert lines(dst / "wav.scp") == [
        "sp0.9-a perturb_speed.py 0.9 x.wav |",
        "sp0.9-b sox x.wav -t wav - | perturb_speed.py 0.9 - |",
        "sp0.9-c perturb_speed.py 0.9 'it'\"'\"'s here.wav' |",
    ]
    assert lines(dst / "utt2spk") == [f"sp0.9-{utt} sp0.9-s" for utt in "abc"]
    assert lines(dst / "text") == ["sp0.9-a A", "sp0.9-b B", "sp0.9-c C"]
    assert lines(dst / "utt2uniq") == ["sp0.9-a a", "sp0.9-b b", "sp0.9-c c"]
    assert lines(dst / "utt2dur") == ["sp0.9-a 3.333333", "sp0.9-b 5", "sp0.9-c 1"]
    assert not (dst / "feats.scp").exists()
    assert not (dst / "utt2num_frames").exists()


def test_speed_of_segments(tmp_path: Path) -> None:
    src = make(
        tmp_path / "src",
        utt2spk="a s/b s",
        segments="a r 1.1 2.2/b r 2.2 -1 1",
        wav__scp="r r.wav",
    )
    perturb_speed(src, tmp_path / "dst", "1.1")
    assert lines(tmp_path / "dst/segments") == [
        "sp1.1-a sp1.1-r 1 2",
        "sp1.1-b sp1.1-r 2 -1 1",
    ]
    assert lines(tmp_path / "dst/wav.scp") == [
        "sp1.1-r perturb_speed.py 1.1 r.wav |",
    ]


def test_speed_one_runs_no_command(tmp_path: Path) -> None:
    src = make(tmp_path / "src", utt2spk="a s", wav__scp="a x.wav")
    perturb_speed(src, tmp_path / "dst", "1.0")
    assert lines(tmp_path / "dst/wav.scp") == ["sp1.0-a x.wav"]


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("utt2dur", "a x", "'x' cannot be changed"),
        ("segments", "a r 0 end", "'r 0 end' cannot be changed"),
        ("segments", "a r 0", "'r 0' cannot be changed"),
    ],
)
def test_speed_of_damaged_tables(
    tmp_path: Path, name: str, line: str, words: str
) -> None:
    tables = {"utt2spk": "a s", "wav.scp": "r r.wav", name: line}
    src = make(tmp_path / "src", **tables)
    with pytest.raises(DataError) as error:
        perturb_speed(src, tmp_path / "dst", "0.9")
    assert f"{src / name}: {words}" in str(error.value)
    assert "validate_data_dir.sh" in str(error.value)


@pytest.mark.parametrize("factor", ["fast", "0", "-1", "nan", "inf"])
def test_wrong_speed(tmp_path: Path, factor: str) -> None:
    src = make(tmp_path / "src", utt2spk="a s", wav__scp="a x.wav")
    with pytest.raises(UserError, match=f"a number above 0, got '{factor}'"):
        perturb_speed(src, tmp_path / "dst", factor)
    assert not (tmp_path / "dst").exists()
