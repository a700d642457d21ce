"""text2token.py, make_dict.py and text2vocabulary.py as recipes call them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., str]
TEXT = "u1 AB <N>C\nu2\nu3 Ä  日本\n"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "text").write_text(TEXT, encoding="utf-8")
    (tmp_path / "syms").write_text("<N>\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (
            "-s 1 -n 1 -l syms",
            ["u1 A B <space> <N> C", "u2 ", "u3 Ä <space> 日 本"],
        ),
        ("-s 1 -n 2", ["u1 AB <space>< N> C", "u2 ", "u3 Ä<space> 日本"]),
        (
            "--skip-ncols 1 --non-lang-syms syms --space _",
            ["u1 A B _ <N> C", "u2 ", "u3 Ä _ 日 本"],
        ),
        ("--skip_ncols 1 --trans_type phn", ["u1 AB <N>C", "u2 ", "u3 Ä 日本"]),
        ("-s 2 -t char", ["u1 AB < N > C", "u2 ", "u3 Ä 日 本"]),
        (
            "",
            [
                " u 1 <space> A B <space> < N > C",
                " u 2",
                " u 3 <space> Ä <space> 日 本",
            ],
        ),
    ],
)
def test_text2token(
    work: Path, stdout_of: Call, options: str, lines: list[str]
) -> None:
    expected = "".join(line + "\n" for line in lines)
    assert stdout_of("text2token.py", *options.split(), "text") == expected
    assert stdout_of("text2token.py", *options.split(), stdin=TEXT) == expected


def test_text2token_errors(work: Path, run: Run, error_of: Call) -> None:
    assert "none: cannot be read: No such" in error_of("text2token.py", "none")
    assert "nchar: 0 must be 1" in error_of("text2token.py", "-n", 0, "text")
    assert "skip-ncols: -1 must" in error_of("text2token.py", "-s", -1, "text")
    (work / "latin").write_bytes(b"\xc4\n")
    assert "latin:1: not UTF-8 text (byte 0xc4)" in error_of("text2token.py", "latin")
    usage = run("text2token.py", "-t", "word", "text")
    assert usage.returncode == 2 and "invalid choice: 'word'" in usage.stderr


def test_scripts_run_from_anywhere_through_a_link(work: Path) -> None:
    (work / "utils").symlink_to(Path(__file__).resolve().parents[1] / "utils")
    done = subprocess.run(
        ["utils/text2token.py", "-s", "1", "text"],
        cwd=work,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr


def test_dictionary_equals_the_recipes_pipe(work: Path, stdout_of: Call) -> None:
    pipe = (
        "cut -f 2- -d' ' | tr ' ' '\\n' | LC_ALL=C sort -u | grep -v '^$' "
        "| awk '{print $0 \" \" NR + 1}'"
    )
    tokens = stdout_of("text2token.py", "-s", 1, "-n", 1, "-l", "syms", "text")
    expected = subprocess.run(
        pipe, shell=True, input=tokens, capture_output=True, encoding="utf-8"
    ).stdout
    stdout_of("make_dict.py", "--nlsyms", "syms", "text", "lang/units.txt")
    units = (work / "lang/units.txt").read_text(encoding="utf-8")
    assert units == "<unk> 1\n" + expected
    assert "<space> 3\nA 4\n" in units


def test_dictionary_of_other_units(work: Path, stdout_of: Call) -> None:
    (work / "phones").write_text("u1 sil B A\nu2 A <unk>\n")
    stdout_of("make_dict.py", "--trans-type", "phn", "phones", "d")
    assert (work / "d").read_text() == "<unk> 1\n<space> 2\nA 3\nB 4\n"
    stdout_of("make_dict.py", "--nchar", 2, "--skip-ncols", 0, "-", "d", stdin="ABC")
    assert (work / "d").read_text() == "<unk> 1\nAB 2\nC 3\n"


def test_dictionary_of_pieces_has_those_that_occur(work: Path, stdout_of: Call) -> None:
    (work / "lines").write_text("AB AB BA C\n" * 5)
    sentencepiece.SentencePieceTrainer.train(
        input=str(work / "lines"),
        vocab_size=8,
        model_prefix=str(work / "m"),
        minloglevel=2,
    )
    (work / "text").write_text("u1 AB\nu2 BA AB\n")
    stdout_of("make_dict.py", "--bpecode", "m.model", "text", "d")
    library = sentencepiece.SentencePieceProcessor(model_file=str(work / "m.model"))
    pieces = {
        piece for t in ("AB", "BA AB") for piece in library.encode(t, out_type=str)
    }
    lines = [f"{piece} {i}\n" for i, piece in enumerate(["<unk>", *sorted(pieces)], 1)]
    assert (work / "d").read_text(encoding="utf-8") == "".join(lines)
    assert len(lines) < 8


def test_dictionary_of_no_text(work: Path, error_of: Call) -> None:
    (work / "text").write_text("u1\nu2\n")
    assert "text: holds no text after 1 columns" in error_of(
        "make_dict.py", "text", "d"
    )
    assert not (work / "d").exists()


def test_word_list(work: Path, run: Run) -> None:
    words = "B A B C <eos> <unk>\nB C D\n"
    done = run("text2vocabulary.py", "-s", 2, stdin=words)
    assert done.stdout == "<unk> 1\nB 2\nC 3\n"
    assert "OOV rate = 28.57 % (2 of 7 words)" in done.stderr
    done = run("text2vocabulary.py", "--cutoff", 2, stdin=words)
    assert done.stdout == "<unk> 1\nB 2\n"
    (work / "lm.txt").write_text(words)
    done = run("text2vocabulary.py", "-o", "list/w.txt", "lm.txt", "lm.txt")
    assert (work / "list/w.txt").read_text() == "<unk> 1\nA 2\nB 3\nC 4\nD 5\n"
    assert not done.stdout and "OOV rate = 0.00 % (0 of 14 words)" in done.stderr


def test_word_list_errors(error_of: Call) -> None:
    assert "stdin: holds no word" in error_of("text2vocabulary.py", stdin="<eos>\n")
    assert "vocabsize: 0 must be" in error_of("text2vocabulary.py", "-s", 0, stdin="A")
