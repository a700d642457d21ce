"""Texts in tokens of a vocabulary."""

from __future__ import annotations

import pytest

from espnet.text.segmentation import TextCutter

LETTERS = ["<blank>", "<unk>", "<noise>", "<space>", "A", "B", ".", "<eos>"]
PIECES = ["<blank>", "<unk>", "▁AB", "▁A", "B", "A", "BA", "<eos>"]


@pytest.mark.parametrize(
    ("char_list", "text", "tokens"),
    [
        (LETTERS, "AB  BA", "A B <space> B A"),
        (LETTERS, "A <noise> B", "A <space> <noise> <space> B"),
        (LETTERS, "AxB. ? A", "A B <space> A"),
        (LETTERS, "xyz", ""),
        (LETTERS, "<eos> <unk>", ""),
        (PIECES, "AB AA", "▁AB ▁A A"),
        (PIECES, "ABBA", "▁AB BA"),
        (["<blank>", "<unk>", "▁", "A", "<eos>"], "A 12 AxA", "▁ A ▁ A A"),
        (["<blank>", "<unk>", "B", "A", "<eos>"], "AB BA", "A B B A"),
    ],
)
def test_the_fewest_tokens(char_list: list[str], text: str, tokens: str) -> None:
    found = TextCutter(char_list)(text)
    assert [char_list[i] for i in found] == tokens.split()


def test_what_is_left_out_is_known() -> None:
    cutter = TextCutter(LETTERS)
    for text in ("A.x", "By <noise>", "xA"):
        cutter(text)
    assert cutter.left_out == {"x", "y"}


def test_spaces_can_be_left_out() -> None:
    cutter = TextCutter(LETTERS, spaces=False)
    assert [LETTERS[i] for i in cutter("A B")] == ["A", "B"]
