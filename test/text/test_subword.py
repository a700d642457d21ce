"""Our use of sentencepiece against the library itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import sentencepiece

from espnet.text import subword
from espnet.text.subword import SubwordTokenizer, parse_trainer_options
from espnet.utils.errors import UserError

LINES = ["HELLO WORLD", "", "LOW HOLE", "WORLD OF HELLO"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "in.txt").write_text("\n".join(LINES * 5))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "in.txt"),
        vocab_size=15,
        model_prefix=str(folder / "m"),
        minloglevel=2,
    )
    return folder / "m.model"


def test_pieces_are_those_of_the_library(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = sentencepiece.SentencePieceProcessor(model_file=str(model))
    ours = SubwordTokenizer(model)
    monkeypatch.setattr(subword, "CHUNK", 3)  # more than one
    expected = [library.encode(line, out_type=str) for line in LINES]
    assert list(ours.encode(LINES)) == expected
    assert [ours(line) for line in LINES] == expected
    assert [ours.decode(pieces) for pieces in expected] == LINES
    ids = [library.encode(line) for line in LINES]
    assert list(ours.encode(LINES, as_ids=True)) == [
        [str(i) for i in row] for row in ids
    ]
    assert [ours.decode_ids(row) for row in ids] == LINES


def test_trainer_options_in_all_spellings() -> None:
    words = "--model_prefix=m --vocab_size 9 --input=a,b --hard_vocab_limit"
    assert parse_trainer_options(words.split()) == {
        "model_prefix": "m",
        "vocab_size": "9",
        "input": "a,b",
        "hard_vocab_limit": "true",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [("in.txt", "'in.txt' is no option"), ("--vocab_size=3", "--model_prefix=PREFIX")],
)
def test_wrong_trainer_options(words: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_trainer_options(words.split())


def test_a_file_that_is_no_model_is_named(tmp_path: Path, model: Path) -> None:
    with pytest.raises(UserError, match="no.model: no such sentencepiece model"):
        SubwordTokenizer(tmp_path / "no.model")
    (tmp_path / "x.model").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"x\.model: is no sentencepiece model"):
        SubwordTokenizer(tmp_path / "x.model")
    with pytest.raises(UserError, match=r"m\.model: has no piece 99, only 0 to 14"):
        SubwordTokenizer(model).decode_ids([99])
