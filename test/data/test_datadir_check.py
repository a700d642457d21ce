"""The words of the data directory checker, and that the fixer satisfies it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from espnet.data.datadir_check import validate
from espnet.data.datadir_fix import fix
from espnet.utils.errors import DataError, UserError

# Two speakers with two utterances each.
TABLES = {
    "text": "s1-a HELLO THERE\ns1-b YES\ns2-a NO\ns2-b GRÜßE\n",
    "utt2spk": "s1-a s1\ns1-b s1\ns2-a s2\ns2-b s2\n",
    "spk2utt": "s1 s1-a s1-b\ns2 s2-a s2-b\n",
    "wav.scp": "s1-a a.wav\ns1-b cat a.wav |\ns2-a a.wav\ns2-b cat  'a.wav' |\n",
    "feats.scp": "s1-a f.ark:5\ns1-b f.ark:99\ns2-a f.ark:150[0:9]\ns2-b f.ark:200\n",
    "utt2num_frames": "s1-a 9\ns1-b 8\ns2-a 7\ns2-b 6\n",
}
SEGMENTS = {
    "wav.scp": "r1 a.wav\nr2 cat a.wav |\n",
    "segments": "s1-a r1 0 1.5\ns1-b r1 1.5 -1\ns2-a r2 0.25 2\ns2-b r2 2 3 0\n",
}
Dir = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dir:
    """Write ``d`` with good tables and the given ones; None leaves a table out."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "f.ark"):
        Path(name).write_bytes(b"RIFF")
    Path("empty.wav").touch()

    def write(tables: dict[str, str | None], segments: bool = False) -> Path:
        path = Path("d")
        path.mkdir()
        for name, text in {
            **TABLES,
            **(SEGMENTS if segments else {}),
            **tables,
        }.items():
            if text is not None:
                (path / name).write_bytes(text.encode(errors="surrogateescape"))
        return path

    return write


def changed(name: str, *lines: tuple[int, str]) -> dict[str, str | None]:
    """A good table with some of its lines replaced."""
    new = {**TABLES, "segments": SEGMENTS["segments"]}[name].splitlines()
    for number, line in lines:
        new[number - 1] = line
    return {name: "".join(line + "\n" for line in new)}


@pytest.mark.parametrize("segments", [False, True])
def test_a_good_directory_has_no_problem(make: Dir, segments: bool) -> None:
    report = validate(make({}, segments))
    assert (report.problems, report.warnings) == ([], [])


FIX = "utils/fix_data_dir.sh d repairs it"
DROP = "or let utils/fix_data_dir.sh d drop"
CASES = {
    "no text": ({"text": None}, ["d/text: is missing; write '<utterance> <words>'"]),
    "no wav": ({"wav.scp": None}, ["d/wav.scp: is missing; write '<utterance> <path"]),
    "no feats": (
        {"feats.scp": None, "utt2num_frames": None},
        ["d/feats.scp: is missing; run utils/steps/make_fbank_pitch.sh d, or pass"],
    ),
    "no spk2utt": (
        {"spk2utt": None},
        ["d/spk2utt: is missing; run utils/utt2spk_to_spk2utt.pl d/utt2spk >"],
    ),
    "not in wav.scp": (
        changed("wav.scp", (2, "")) | changed("text", (3, "s2-a")),
        [
            "d/text:2: utterance 's1-b' is not in wav.scp; add it there, " + DROP,
            "d/text:3: 's2-a' has an empty transcript; write its words, " + DROP,
            "d/wav.scp:2: has empty lines; " + FIX,
        ],
    ),
    "not in text": (
        {"text": "s1-a X\ns2-a Y\n"},
        [
            "d/wav.scp:2: utterance 's1-b' is not in text; add",
            "d/wav.scp:4: utterance 's2-b' is not in text; add",
        ],
    ),
    "only in text": (
        {"text": TABLES["text"] + "s3-a NEW\n"},
        [
            "d/text:5: utterance 's3-a' is not in wav.scp and utt2spk and feats.scp "
            "and utt2num_frames; add"
        ],
    ),
    "unsorted": (
        {"text": "s1-b A\ns1-a B\ns2-b C\ns2-a D\n"},
        ["d/text:2: is not sorted here (and in 1 more lines), as LC_ALL=C sort"],
    ),
    "sorted by another locale": (
        {"text": "a B\nB B\n", "utt2spk": "B B\na a\n", "spk2utt": "B B\na a\n"}
        | {"wav.scp": "B a.wav\na a.wav\n", "feats.scp": "B f.ark:1\na f.ark:2\n"}
        | {"utt2num_frames": "B 1\na 1\n"},
        ["d/text:2: is not sorted here, as LC_ALL=C sort would do it; " + FIX],
    ),
    "duplicates": (
        {"text": TABLES["text"].replace("s2-a", "s1-b YES\ns1-b NO\ns2-a")},
        [
            "d/text:3: 's1-b' is in line 2 already; " + FIX,
            "d/text:4: 's1-b' is in line 2 already; " + FIX + " and keeps line 2",
        ],
    ),
    "carriage returns": (
        {"text": TABLES["text"].replace("\n", "\r\n")},
        ["d/text:1: has carriage returns (made on Windows?) (and in 3 more lines); "],
    ),
    "tabs and blanks": (
        changed("text", (1, "s1-a\tA"), (2, "s1-b A  B"), (3, "s2-a A "))
        | changed("wav.scp", (3, "s2-a  a.wav")),
        [
            "d/text:1: has tabs; " + FIX,
            "d/text:2: has several blanks in a row; " + FIX,
            "d/text:3: has blanks at the start or end; " + FIX,
            "d/wav.scp:3: has several blanks in a row; " + FIX,
        ],
    ),
    "byte order mark": (
        {"text": "\ufeff" + TABLES["text"]},
        ["d/text:1: starts with a byte order mark; " + FIX],
    ),
    "not UTF-8": (
        changed("text", (2, "s1-b \udce9"), (4, "s2-b \udcff")),
        [
            "d/text:2: is not UTF-8 (byte 0xe9); convert the file with iconv",
            "d/text:4: is not UTF-8 (byte 0xff); convert the file with iconv",
        ],
    ),
    "unprintable": (
        changed("text", (2, "s1-b A\u200b")),
        ["d/text:2: 's1-b' has the unprintable character U+200B; delete it, or pass"],
    ),
    "speakers": (
        {"spk2utt": "s1 s1-a s2-a\ns2 s2-a s2-b\ns3 s3-a\n"},
        [
            "d/spk2utt:1: speaker 's1' lacks 's1-b' and must not list 's2-a', says",
            "d/spk2utt:3: speaker 's3' is not in utt2spk; run utils/utt2spk_to_spk2utt",
        ],
    ),
    "speaker not listed": (
        {"spk2utt": "s1 s1-a s1-b\n"},
        ["d/utt2spk:3: speaker 's2' is not in spk2utt; run utils/utt2spk_to_spk2utt"],
    ),
    "two speakers": (
        changed("utt2spk", (2, "s1-b s1 s2")),
        [
            "d/spk2utt:1: speaker 's1' must not list 's1-b', says utt2spk",
            "d/utt2spk:2: 's1-b' must have one word after it, has 's1 s2'",
            "d/utt2spk:2: speaker 's1 s2' is not in spk2utt",
        ],
    ),
    "wav path": (
        changed(
            "wav.scp", (1, "s1-a no.wav"), (2, "s1-b cat a.wav"), (3, "s2-a empty.wav")
        ),
        [
            "d/wav.scp:1: 's1-a' is at 'no.wav', no such file (looked for from /",
            "d/wav.scp:2: 's1-b' is at 'cat a.wav', no such file; end a command with",
            "d/wav.scp:3: 's2-a' is at 'empty.wav', an empty file; copy it again",
        ],
    ),
    "wav line": (
        changed("wav.scp", (1, "s1-a |"), (2, "s1-b")),
        [
            "d/wav.scp:1: 's1-a' has an empty command; write '<command> |'",
            "d/wav.scp:2: 's1-b' has no path; write '<path>' or '<command> |' after it",
        ],
    ),
    "archive": (
        changed("feats.scp", (2, "s1-b g.ark:99")),
        ["d/feats.scp:2: 's1-b' is at 'g.ark:99', no such file; make the features"],
    ),
    "frames": (
        changed("utt2num_frames", (1, "s1-a 0"), (2, "s1-b many")),
        [
            "d/utt2num_frames:1: 's1-a' must have a number above 0 after it, has '0'",
            "d/utt2num_frames:2: 's1-b' must have a number above 0 after it, has 'm",
        ],
    ),
    "frames of other utterances": (
        {"utt2num_frames": "s1-a 9\ns1-b 8\ns2-a 7\n"},
        ["d/text:4: utterance 's2-b' is not in utt2num_frames; add it there"],
    ),
    "empty": (
        dict.fromkeys(TABLES, ""),
        [f"d/{name}: is empty; make it again" for name in sorted(TABLES)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_problems(make: Dir, case: str) -> None:
    tables, expected = CASES[case]
    problems = [str(p) for p in validate(make(tables)).problems]
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


SEGMENT_CASES = {
    "s1-a r1 2 1": "ends at 1 s, not after its start at 2 s",
    "s1-a r1 1 1": "ends at 1 s, not after its start at 1 s",
    "s1-a r1 -1 1": "starts at -1 s, before its recording",
    "s1-a r1 0 end": "has times '0' and 'end', which must be seconds",
    "s1-a r1 0 nan": "ends at nan s",
    "s1-a r1 0": "is not '<utterance> <recording> <start> <end>'",
    "s1-a r9 0 1": "is cut from 'r9', not in wav.scp; add the recording there",
}


@pytest.mark.parametrize("line", SEGMENT_CASES)
def test_segments(make: Dir, line: str) -> None:
    path = make(changed("segments", (1, line)), segments=True)
    report = validate(path)
    (problem,) = [str(p) for p in report.problems]
    assert problem.startswith(f"d/segments:1: 's1-a' {SEGMENT_CASES[line]}")
    assert "fix_data_dir.sh d drop" in problem
    fix(path)
    assert validate(path).problems == []
    assert "s1-a" not in (path / "text").read_text()


def test_unused_recordings_are_a_warning(make: Dir) -> None:
    path = make({"wav.scp": SEGMENTS["wav.scp"] + "r3 a.wav\n"}, segments=True)
    report = validate(path)
    assert report.problems == []
    (warning,) = [str(w) for w in report.warnings]
    assert warning.startswith("d/wav.scp:3: no segment is cut from 'r3'; harmless if")


def test_speakers_that_do_not_begin_utterances_are_a_warning(make: Dir) -> None:
    utt2spk = "s1-a z\ns1-b z\ns2-a y\ns2-b y\n"
    path = make({"utt2spk": utt2spk, "spk2utt": "y s2-a s2-b\nz s1-a s1-b\n"})
    report = validate(path)
    assert report.problems == []
    (warning,) = [str(w) for w in report.warnings]
    assert warning == (
        "d/utt2spk:3: speaker 'y' of 's2-a' comes after speaker 'z'; begin each "
        "utterance's name with its speaker's"
    )


@pytest.mark.parametrize(
    ("name", "option"), [("text", "text"), ("feats.scp", "feats"), ("wav.scp", "wav")]
)
def test_without(make: Dir, name: str, option: str) -> None:
    path = make({name: "s9-x \n"})
    assert validate(path).problems != []
    assert validate(path, **{option: False}).problems == []
    (path / name).unlink()
    assert validate(path, **{option: False}).problems == []


def test_non_print(make: Dir) -> None:
    path = make(changed("text", (2, "s1-b A\u200b")))
    assert validate(path, non_print=True).problems == []


def test_no_directory() -> None:
    with pytest.raises(UserError, match="no/such: no such data directory"):
        validate("no/such")


REPAIRABLE = [
    "not in wav.scp",
    "not in text",
    "only in text",
    "unsorted",
    "duplicates",
    "carriage returns",
    "tabs and blanks",
    "byte order mark",
    "speakers",
    "speaker not listed",
    "no spk2utt",
    "frames of other utterances",
]


@pytest.mark.parametrize("case", REPAIRABLE)
def test_a_fixed_directory_is_valid(make: Dir, case: str) -> None:
    path = make(CASES[case][0])
    before = (path / "text").read_bytes()
    fix(path)
    assert validate(path).problems == []
    if (path / "text").read_bytes() != before:
        assert (path / ".backup/text").read_bytes() == before


def test_fix_tells_what_it_did(make: Dir) -> None:
    path = make({"wav.scp": "s1-a a.wav\ns2-b a.wav\n"} | changed("text", (1, "s1-a")))
    assert fix(path) == [
        "kept 1 of 4 utterances",
        "dropped 1 with no usable line in text: s1-a",
        "dropped 2 with no usable line in wav.scp: s1-b, s2-a",
        "changed feats.scp, spk2utt, text, utt2num_frames, utt2spk, wav.scp; the "
        "former ones are in d/.backup",
    ]
    assert (path / "spk2utt").read_text() == "s2 s2-b\n"
    assert fix(path) == ["kept 1 of 1 utterances"]
    (path / "spk2utt").unlink()
    assert fix(path) == ["kept 1 of 1 utterances", "made spk2utt"]


def test_fix_keeps_commands_as_they_are(make: Dir) -> None:
    path = make({"wav.scp": TABLES["wav.scp"] + "s0-x a.wav\n"})
    fix(path)
    assert (path / "wav.scp").read_text() == TABLES["wav.scp"]


def test_fix_drops_recordings_and_speakers_without_utterances(make: Dir) -> None:
    path = make(
        {"text": "s1-a A\n", "reco2dur": "r1 5\nr2 6\n", "spk2gender": "s1 f\ns2 m\n"},
        segments=True,
    )
    fix(path)
    assert (path / "wav.scp").read_text() == "r1 a.wav\n"
    assert (path / "reco2dur").read_text() == "r1 5\n"
    assert (path / "spk2gender").read_text() == "s1 f\n"


def test_fix_changes_nothing_that_it_cannot_repair(make: Dir) -> None:
    path = make(changed("text", (2, "s1-b \udce9")) | {"utt2lang": "s9 de\n"})
    with pytest.raises(DataError, match="d/text:2: is not UTF-8"):
        fix(path)
    (path / "text").write_text(TABLES["text"])
    with pytest.raises(UserError, match=r"no utterance is usable in all of feats\.scp"):
        fix(path)
    assert (path / "wav.scp").read_text() == TABLES["wav.scp"]
    assert not (path / ".backup").exists()
    (path / "utt2spk").unlink()
    with pytest.raises(UserError, match="d/utt2spk: is missing; write '<utterance>"):
        fix(path)


def test_fix_takes_more_tables(make: Dir) -> None:
    path = make({"text": "s1-a A\n", "text.en": "s1-a a\ns2-a b\n"})
    fix(path, ["text.en"])
    assert (path / "text.en").read_text() == "s1-a a\n"
