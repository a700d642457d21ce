"""spm_train, spm_encode and spm_decode against the library itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., str]
LINES = ["HELLO WORLD", "", "LOW HOLE", "WÖRLD OF HELLO"]
TEXT = "".join(line + "\n" for line in LINES)
OPTIONS = ["--vocab_size=16", "--model_type=unigram", "--input_sentence_size=100000000"]


@pytest.fixture
def library(tmp_path: Path) -> sentencepiece.SentencePieceProcessor:
    """A model that the library trained itself, in ``m.model``."""
    for name in ("in", "in put.txt"):
        (tmp_path / name).write_text(TEXT * 4, encoding="utf-8")
    paths = [f"--input={tmp_path}/in", f"--model_prefix={tmp_path}/m"]
    words = [*OPTIONS, *paths, "--minloglevel=2"]
    sentencepiece.SentencePieceTrainer.train(" ".join(words))
    return sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))


def test_train_writes_the_librarys_model(
    tmp_path: Path, library: sentencepiece.SentencePieceProcessor, run: Run
) -> None:
    done = run("spm_train", "--input=in put.txt", "--model_prefix=lang x/n", *OPTIONS)
    assert done.returncode == 0, done.stderr
    ours = tmp_path / "lang x" / "n.vocab"
    assert ours.read_text() == (tmp_path / "m.vocab").read_text()
    assert sorted(p.name for p in ours.parent.iterdir()) == ["n.model", "n.vocab"]
    processor = sentencepiece.SentencePieceProcessor(
        model_file=str(tmp_path / "lang x" / "n.model")
    )
    assert processor.encode(LINES) == library.encode(LINES)


def test_train_errors_leave_nothing(
    tmp_path: Path, library: object, run: Run, error_of: Call
) -> None:
    prefix = ["--input=in", "--model_prefix=new/n"]
    many = run("spm_train", *prefix, "--vocab_size=999")
    assert many.returncode == 1 and "Vocabulary size too high (999)" in many.stderr
    unknown = run("spm_train", *prefix, "--vocab_sise=9")
    assert unknown.returncode == 1 and "vocab_sise" in unknown.stderr
    assert "Traceback" not in many.stderr + unknown.stderr
    assert not list((tmp_path / "new").iterdir())
    missing = error_of("spm_train", "--input=none", "--model_prefix=n")
    assert "--input: none: no such file" in missing


@pytest.mark.parametrize("kind", ["piece", "id"])
def test_encode_and_decode(
    library: sentencepiece.SentencePieceProcessor, stdout_of: Call, kind: str
) -> None:
    rows = library.encode(LINES, out_type=str if kind == "piece" else int)
    expected = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    model = "--model=m.model"
    encoded = stdout_of("spm_encode", model, f"--output_format={kind}", stdin=TEXT)
    assert encoded == expected
    assert encoded.splitlines()[1] == ""  # an empty line stays: rows keep their number
    decoded = stdout_of("spm_decode", model, "--input_format", kind, stdin=encoded)
    assert decoded == "".join(library.decode(row) + "\n" for row in rows)


def test_lines_are_dropped_by_length_only_when_asked(
    tmp_path: Path, library: sentencepiece.SentencePieceProcessor, run: Run
) -> None:
    lengths = [len(row) for row in library.encode(LINES)]
    low, high = 1, max(lengths) - 1
    (tmp_path / "other").write_text("A\nA\nA\nA\n")
    done = run(
        *("spm_encode", "--model", "m.model", "--inputs", "in4", "other"),
        *("--outputs", "out", "out2", "--min-len", low, "--max-len", high),
    )
    assert done.returncode == 1 and "in4: cannot be read" in done.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "out2").exists()
    (tmp_path / "in4").write_text(TEXT, encoding="utf-8")
    done = run(
        *("spm_encode", "--model", "m.model", "--inputs", "in4", "other"),
        *("--outputs", "out", "out2", "--min-len", low, "--max-len", high),
    )
    kept = sum(low <= length <= high for length in lengths)
    assert done.returncode == 0 and f"{4 - kept} lines dropped by length" in done.stderr
    for name in ("out", "out2"):
        assert len((tmp_path / name).read_text().splitlines()) == kept


def test_encode_and_decode_errors(
    tmp_path: Path, library: object, error_of: Call
) -> None:
    no_model = error_of("spm_encode", "--model", "x", stdin="A")
    assert "x: no such sentencepiece model; train it with spm_train" in no_model
    (tmp_path / "short").write_text("A\n")
    unequal = error_of(
        *("spm_encode", "--model", "m.model", "--inputs", "in", "short"),
        *("--outputs", "a", "b"),
    )
    assert "short: has 1 lines, but the other inputs have more" in unequal
    fewer = error_of("spm_encode", "--model=m.model", "--inputs", "in", "short")
    assert "--inputs: 2 files, but 1 --outputs" in fewer
    decode = ("spm_decode", "--model=m.model", "--input_format=id")
    assert "stdin:1: invalid literal" in error_of(*decode, stdin="x\n")
    assert "stdin:1: m.model: has no piece 99" in error_of(*decode, stdin="99\n")
