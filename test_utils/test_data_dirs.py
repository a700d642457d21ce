"""Kaldi's data directory scripts and text tools as recipes call them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

UTILS = Path(__file__).resolve().parents[1] / "utils"

TABLES = {
    "text": "s1-a HELLO THERE\ns1-b YES\ns2-a NO\n",
    "utt2spk": "s1-a s1\ns1-b s1\ns2-a s2\n",
    "spk2utt": "s1 s1-a s1-b\ns2 s2-a\n",
    "wav.scp": "s1-a cat a |\ns1-b cat b |\ns2-a cat c |\n",
    "utt2num_frames": "s1-a 30\ns1-b 20\ns2-a 10\n",
}

Result = subprocess.CompletedProcess[str]
Script = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path) -> Script:
    """Call ``utils/SCRIPT`` through a linked folder, in a folder with ``d``."""
    (tmp_path / "utils").symlink_to(UTILS)
    (tmp_path / "d").mkdir()
    for name, text in TABLES.items():
        (tmp_path / "d" / name).write_text(text)

    def run(script: str, *words: str, stdin: str = "", code: int = 0) -> Result:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        env["LC_ALL"] = "C"  # as Kaldi's path.sh sets it
        result = subprocess.run(
            [f"utils/{script}", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            encoding="utf-8",
            input=stdin,
        )
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr
        return result

    return run


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


SCRIPTS = [
    "validate_data_dir.sh",
    "fix_data_dir.sh",
    "subset_data_dir.sh",
    "reduce_data_dir.sh",
    "split_data.sh",
    "combine_data.sh",
    "copy_data_dir.sh",
    "perturb_data_dir_speed.sh",
    "remove_longshortdata.sh",
    "data/get_utt2num_frames.sh",
    "data/modify_speaker_info.sh",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_usage(call: Script, script: str) -> None:
    name = Path(script).name
    assert call(script, "--help").stdout.startswith(f"usage: {name} ")
    result = call(script, code=1)
    assert result.stderr.startswith(f"usage: {name} ")
    result = call(script, "--no-such", "x", "1", "y", code=1)
    assert f"{name}: error: unrecognized arguments: --no-such" in result.stderr


def test_validate(call: Script, tmp_path: Path) -> None:
    result = call("validate_data_dir.sh", "--no-feats", "d")
    assert result.stdout == (
        "validate_data_dir.sh: successfully validated data directory d\n"
    )
    (tmp_path / "d/text").write_text("s1-a A\ns1-b\ns2-a\tB\n")
    result = call("validate_data_dir.sh", "d", code=1)
    assert result.stderr.splitlines() == [
        "validate_data_dir.sh: error: d/feats.scp: is missing; run "
        "utils/steps/make_fbank_pitch.sh d, or pass --no-feats",
        "validate_data_dir.sh: error: d/text:2: 's1-b' has an empty transcript; write "
        "its words, or let utils/fix_data_dir.sh d drop it",
        "validate_data_dir.sh: error: d/text:3: has tabs; utils/fix_data_dir.sh d "
        "repairs it",
    ]
    call("validate_data_dir.sh", "--no_text", "--no-feats", "--no-wav", "d")
    result = call("validate_data_dir.sh", "e", code=1)
    assert result.stderr == "validate_data_dir.sh: error: e: no such data directory\n"


def test_validate_warns(call: Script, tmp_path: Path) -> None:
    (tmp_path / "d/utt2spk").write_text("s1-a t\ns1-b t\ns2-a s\n")
    (tmp_path / "d/spk2utt").write_text("s s2-a\nt s1-a s1-b\n")
    result = call("validate_data_dir.sh", "--no-feats", "--non-print", "d")
    assert result.stderr.startswith("validate_data_dir.sh: warning: d/utt2spk:3: ")


def test_fix(call: Script, tmp_path: Path) -> None:
    (tmp_path / "d/text").write_text("s2-a Ä\ns1-a A\n")
    result = call("fix_data_dir.sh", "d")
    assert "fix_data_dir.sh: kept 2 of 3 utterances" in result.stdout.splitlines()
    assert lines(tmp_path / "d/text") == ["s1-a A", "s2-a Ä"]
    assert lines(tmp_path / "d/wav.scp") == ["s1-a cat a |", "s2-a cat c |"]


@pytest.mark.parametrize(
    ("words", "utts"),
    [
        (["--first", "d", "1", "e"], ["s1-a"]),
        (["--last", "d", "2", "e"], ["s1-b", "s2-a"]),
        (["--shortest", "d", "1", "e"], ["s2-a"]),
        (["--per-spk", "d", "1", "e"], ["s1-a", "s2-a"]),
        (["--speakers", "d", "3", "e"], ["s1-a", "s1-b", "s2-a"]),
        (["--seed", "4", "d", "3", "e"], ["s1-a", "s1-b", "s2-a"]),
        (["--utt-list", "d/list", "d", "e"], ["s1-b"]),
        (["--spk-list", "d/list", "d", "e"], ["s2-a"]),
    ],
)
def test_subset(
    call: Script, tmp_path: Path, words: list[str], utts: list[str]
) -> None:
    (tmp_path / "d/list").write_text("s1-b\ns2\n")
    call("subset_data_dir.sh", *words)
    assert [line.split()[0] for line in lines(tmp_path / "e/wav.scp")] == utts


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["d", "4", "e"],
            "subset_data_dir.sh: error: d has 3 utterances, 4 are",
        ),
        (["d", "many", "e"], "N wants a whole number, got 'many'"),
        (["d", "e"], "wants SRC DST with a list, and SRC N DST otherwise"),
        (["--first", "--last", "d", "1", "e"], "not allowed with argument"),
        (["--utt-list", "no", "d", "e"], "no: cannot be read: No such file"),
    ],
)
def test_subset_mistakes(call: Script, words: list[str], message: str) -> None:
    assert message in call("subset_data_dir.sh", *words, code=1).stderr


def test_reduce(call: Script, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("s2-a\ns9-z\n")
    result = call("reduce_data_dir.sh", "d", "list", "e")
    assert lines(tmp_path / "e/text") == ["s2-a NO"]
    assert result.stderr == (
        "reduce_data_dir.sh: warning: 1 names of list are not in d: s9-z\n"
    )


def test_split(call: Script, tmp_path: Path) -> None:
    call("split_data.sh", "d", "2")
    assert lines(tmp_path / "d/split2/2/text") == ["s2-a NO"]
    call("split_data.sh", "--per-utt", "d", "3")
    assert lines(tmp_path / "d/split3utt/2/text") == ["s1-b YES"]
    result = call("split_data.sh", "d", "3", code=1)
    assert "use at most 2, or split by utterance (--per-utt)" in result.stderr


def test_copy_perturb_combine(call: Script, tmp_path: Path) -> None:
    call("copy_data_dir.sh", "--utt-suffix", "-rvb", "d", "e")
    assert lines(tmp_path / "e/utt2spk")[0] == "s1-a-rvb s1"
    call("perturb_data_dir_speed.sh", "1.1", "d", "f")
    assert lines(tmp_path / "f/wav.scp")[2] == (
        "sp1.1-s2-a cat c | perturb_speed.py 1.1 - |"
    )
    result = call("combine_data.sh", "--skip_fix", "false", "g", "d", "e", "f")
    assert "combine_data.sh: kept 9 of 9 utterances" in result.stdout
    call("validate_data_dir.sh", "--no-feats", "g")
    result = call("combine_data.sh", "--skip-fix", "no", "g", "d", "e", code=1)
    assert "--skip-fix: wants true or false, got 'no'" in result.stderr


def test_a_copy_is_checked(call: Script, tmp_path: Path) -> None:
    (tmp_path / "d/text").write_text("s1-a A\ns1-b B\ns2-a C\u200b\n")
    result = call("copy_data_dir.sh", "d", "e", code=1)
    assert "e/text:3: 's2-a' has the unprintable character U+200B" in result.stderr
    call("copy_data_dir.sh", "--validate-opts", "--non-print", "d", "e")


def test_frames_are_counted(call: Script, tmp_path: Path) -> None:
    kaldiio = pytest.importorskip("kaldiio")
    frames = {"s1-a": 7, "s1-b": 11, "s2-a": 250}
    arrays = {k: np.zeros((n, 3), np.float32) for k, n in frames.items()}
    ark, scp = str(tmp_path / "f.ark"), str(tmp_path / "d/feats.scp")
    kaldiio.save_ark(ark, arrays, scp=scp, compression_method=2)
    call("data/get_utt2num_frames.sh", "--nj", "2", "--cmd", "run.pl", "d")
    assert lines(tmp_path / "d/utt2num_frames") == ["s1-a 7", "s1-b 11", "s2-a 250"]
    (tmp_path / "d/utt2num_frames").unlink()
    result = call("remove_longshortdata.sh", "--maxframes", "250", "d", "e")
    assert lines(tmp_path / "e/text") == ["s1-b YES"]
    assert result.stdout.splitlines() == [
        "remove_longshortdata.sh: kept 1 of 3 utterances",
        "remove_longshortdata.sh: dropped 1 with 10 frames or fewer",
        "remove_longshortdata.sh: dropped 1 with 250 frames or more",
    ]


def test_frames_follow_from_seconds_where_there_are_no_features(
    call: Script, tmp_path: Path
) -> None:
    """As Kaldi has it: (seconds - overlap) / shift, rounded down."""
    (tmp_path / "d/utt2dur").write_text("s1-a 2\ns1-b 0.01\ns2-a 1.5\n")
    call("data/get_utt2num_frames.sh", "d")
    assert lines(tmp_path / "d/utt2num_frames") == ["s1-a 198", "s1-b 0", "s2-a 148"]
    options = ("--frame-shift", "0.0125", "--frame-overlap", "0.0375")
    call("data/get_utt2num_frames.sh", *options, "d")
    assert lines(tmp_path / "d/utt2num_frames") == ["s1-a 157", "s1-b 0", "s2-a 117"]
    result = call("data/get_utt2num_frames.sh", "--frame-shift", "0", "d", code=1)
    assert "--frame-shift: 0.0 must be above 0" in result.stderr


@pytest.mark.parametrize(
    "options, speakers",
    [
        (["--utts-per-spk-max", "1"], "s1-a s1-b s2-a"),
        (["--utts-per-spk-max", "2", "--respect-speaker-info", "false"], "s1-a s2-a"),
        (["--seconds-per-spk-max", "5"], "s1-a s2-a"),
        (["--seconds-per-spk-max", "4"], "s1-a s1-b s2-a"),
        ([], "s1-a s2-a"),
    ],
)
def test_speakers_are_cut(
    call: Script, tmp_path: Path, options: list[str], speakers: str
) -> None:
    (tmp_path / "d/utt2dur").write_text("s1-a 2\ns1-b 3\ns2-a 1\n")
    call("data/modify_speaker_info.sh", *options, "d", "new")
    of = dict(line.split() for line in lines(tmp_path / "new/utt2spk"))
    assert sorted(set(of.values())) == speakers.split()
    assert list(of) == ["s1-a", "s1-b", "s2-a"]
    assert [line.split()[0] for line in lines(tmp_path / "new/spk2utt")] == (
        speakers.split()
    )
    call("validate_data_dir.sh", "--no-feats", "new")


def test_lengths(call: Script, tmp_path: Path) -> None:
    (tmp_path / "nlsyms").write_text("YES\n")
    options = ["--no_feat", "true", "--nlsyms", "nlsyms", "--minchars", "1"]
    call("remove_longshortdata.sh", *options, "d", "e")
    assert lines(tmp_path / "e/text") == ["s1-a HELLO THERE", "s2-a NO"]
    call("remove_longshortdata.sh", "--maxchars", "11", "d", "e")
    assert lines(tmp_path / "e/text") == ["s1-b YES"]  # s2-a has 10 frames, too few
    result = call("remove_longshortdata.sh", "--minframes", "99", "d", "e", code=1)
    assert "d: no utterance is within the limits" in result.stderr
    (tmp_path / "d/utt2num_frames").unlink()
    result = call("remove_longshortdata.sh", "d", "e", code=1)
    assert "d: has neither utt2num_frames nor feats.scp; make the" in result.stderr


def test_unknown_name(call: Script) -> None:
    result = call("data_dir.py", "fix_data.sh", code=1)
    assert "'fix_data.sh' is none of validate_data_dir.sh" in result.stderr
    assert "(did you mean 'fix_data_dir.sh'?)" in result.stderr


@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        (["filter_scp.pl", "l"], "a 1\nb 2\nü 3\n", "a 1\nü 3\n"),
        (["filter_scp.pl", "--exclude", "l"], "a 1\nb 2\n", "b 2\n"),
        (["filter_scp.pl", "-f", "2", "l"], "1 a\n2 b\n", "1 a\n"),
        (["sym2int.pl", "-f", "2-", "sym"], "u a b\n", "u 1 2\n"),
        (["sym2int.pl", "sym"], "a b\n", "1 2\n"),
        (["sym2int.pl", "--map-oov", "<unk>", "sym"], "a z\n", "1 9\n"),
        (["sym2int.pl", "--map-oov", "5", "-f", "2-", "sym"], "z z b\n", "z 5 2\n"),
        (["int2sym.pl", "-f", "2-", "sym"], "1 1 2\n", "1 a b\n"),
        (["apply_map.pl", "-f", "2", "map"], "x a\n", "x 1 2\n"),
        (["apply_map.pl", "--permissive", "map"], "x a\n", "x 1 2\n"),
        (["utt2spk_to_spk2utt.pl"], "a s\nb t\nc s\n", "s a c\nt b\n"),
        (["spk2utt_to_utt2spk.pl"], "s a c\nt b\n", "a s\nc s\nb t\n"),
        (["split_scp.pl", "-j", "2", "0", "-"], "a\nb\nc\n", "a\nb\n"),
        (["split_scp.pl", "-j", "2", "2", "--one-based", "-"], "a\nb\nc\n", "c\n"),
    ],
)
def test_text_tools(
    call: Script, tmp_path: Path, words: list[str], stdin: str, expected: str
) -> None:
    (tmp_path / "l").write_text("a x\nü\n")
    (tmp_path / "sym").write_text("a 1\nb 2\n<unk> 9\n")
    (tmp_path / "map").write_text("a 1 2\n")
    assert call(*words, stdin=stdin).stdout == expected
    if words[-1] != "-":
        (tmp_path / "in").write_text(stdin)
        assert call(*words, "in").stdout == expected


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        (["filter_scp.pl", "no"], "", "filter_scp.pl: error: no: cannot be read"),
        (["filter_scp.pl", "-f", "3", "l"], "a b\n", "stdin:1: has no field 3: 'a b'"),
        (
            ["sym2int.pl", "l"],
            "\na\n",
            "stdin:2: 'a' is not in l; add it there, or pass",
        ),
        (["sym2int.pl", "--map-oov", "y", "l"], "", "--map-oov: 'y' is not in l"),
        (["apply_map.pl", "l"], "a\n", "'a' is not in l; add it there, or pass --per"),
        (["int2sym.pl", "l"], "7\n", "stdin:1: '7' is not in l"),
        (["utt2spk_to_spk2utt.pl"], "a s\nb\n", "stdin:2: 'b': not two words"),
        (["utt2spk_to_spk2utt.pl"], "a s\na t\n", "stdin:2: 'a t': a second line for"),
        (["spk2utt_to_utt2spk.pl"], "s a\nt\n", "stdin:2: 't': a speaker without"),
        (["split_scp.pl", "-", "p", "q"], "a\n", "cannot split 1 lines into 2 parts"),
        (
            ["split_scp.pl", "--utt2spk", "l", "-", "p"],
            "b\n",
            "1: 'b' is not in l",
        ),
    ],
)
def test_text_tool_errors(
    call: Script, tmp_path: Path, words: list[str], stdin: str, message: str
) -> None:
    (tmp_path / "l").write_text("x 1\n")
    result = call(*words, stdin=stdin, code=1)
    assert message in result.stderr
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sym2int.pl", "-f", "0", "l"], "'0' is not a range of fields such as 2, 2-"),
        (["filter_scp.pl", "-f", "0", "l"], "fields are counted from 1, got 0"),
        (["split_scp.pl", "-j", "2", "2", "l"], "there is no part 2 of 2"),
        (["split_scp.pl", "l"], "wants the names of the parts, or -j N J"),
    ],
)
def test_text_tool_usage(call: Script, words: list[str], message: str) -> None:
    assert message in call(*words, code=2).stderr


def test_replaced_words_are_counted(call: Script, tmp_path: Path) -> None:
    (tmp_path / "sym").write_text("a 1\n")
    result = call("sym2int.pl", "--map-oov", "9", "sym", stdin="a b c b\n")
    assert result.stderr == "sym2int.pl: replaced 3 words that sym lacks by 9: b, c\n"


def test_split_scp_by_speaker(call: Script, tmp_path: Path) -> None:
    call("split_scp.pl", "--utt2spk=d/utt2spk", "d/text", "p1", "p2")
    assert len(lines(tmp_path / "p1")) == 2
    assert lines(tmp_path / "p2") == ["s2-a NO"]


def test_shuffle_repeats(call: Script) -> None:
    text = "".join(f"{i}\n" for i in range(50))
    once = call("shuffle_list.pl", stdin=text).stdout
    assert once != text
    assert sorted(once.split()) == sorted(text.split())
    assert call("shuffle_list.pl", stdin=text).stdout == once
    assert call("shuffle_list.pl", "--srand", "1", stdin=text).stdout != once


def test_data_links(call: Script, tmp_path: Path) -> None:
    call("create_data_link.pl", "f/x.1.ark")  # no storage: nothing to do
    assert not (tmp_path / "f").exists()
    for disk in "12":
        (tmp_path / "f/storage" / disk).mkdir(parents=True)
    names = [f"f/x.{n}.ark" for n in range(8)]
    call("create_data_link.pl", *names)
    call("create_data_link.pl", *names)
    assert {os.readlink(tmp_path / name)[:9] for name in names} == {
        "storage/1",
        "storage/2",
    }
    (tmp_path / names[0]).write_text("data")
    assert sum(1 for _ in (tmp_path / "f/storage").glob("*/*")) == 1
    (tmp_path / "f/plain").touch()
    result = call("create_data_link.pl", "f/plain", code=1)
    assert "f/plain: exists already; delete it" in result.stderr
