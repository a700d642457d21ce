"""Text to characters and phones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from espnet.text.dictionary import join_tokens
from espnet.text.tokenizer import (
    char_tokens,
    phone_tokens,
    read_symbols,
    text_tokenizer,
)
from espnet.utils.errors import UserError


@pytest.mark.parametrize(
    ("text", "nchar", "symbols", "tokens"),
    [
        ("GO ON", 1, [], "G O <space> O N"),
        ("AB C", 2, [], "AB <space>C"),
        ("ABC", 2, [], "AB C"),
        ("AB <N>C", 1, ["<N>"], "A B <space> <N> C"),
        ("A<N>B", 2, ["<N>"], "A<N> B"),
        ("<N><NO>", 1, ["<N>", "<NO>", "<N"], "<N> <NO>"),
        ("a.b", 1, ["."], "a . b"),
        ("  A \t B\u3000C ", 1, [], "A <space> B <space> C"),
        ("日本 Ä", 1, [], "日 本 <space> Ä"),
        ("", 1, ["<N>"], ""),
    ],
)
def test_characters(text: str, nchar: int, symbols: list[str], tokens: str) -> None:
    assert " ".join(char_tokens(text, nchar, symbols)) == tokens


def test_tokens_join_to_the_text_again() -> None:
    draw = random.Random(0)
    for nchar in (1, 2, 3):
        text = " ".join("".join(draw.choices("AB<N>Ä", k=4)) for _ in range(5))
        tokens = char_tokens(text, nchar, ["<N>"])
        assert join_tokens(tokens) == text
        assert not any(" " in token for token in tokens)


def test_phones_keep_their_names_but_silence_is_a_space() -> None:
    tokens = phone_tokens("sil HH AH0 sil silk")
    assert " ".join(tokens) == "<space> HH AH0 <space> silk"
    assert text_tokenizer("phn", space="_")("sil A") == ["_", "A"]


def test_symbols_are_read_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "syms").write_text("<N>\n\n<NO> \n")
    assert read_symbols(tmp_path / "syms") == ["<N>", "<NO>"]
    with pytest.raises(UserError, match="none: cannot be read: No such file"):
        read_symbols(tmp_path / "none")


def test_nchar_must_be_positive() -> None:
    with pytest.raises(UserError, match="nchar: 0 must be 1 or more"):
        text_tokenizer("char", nchar=0)
