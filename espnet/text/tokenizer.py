"""Text to tokens: characters or phones (sub-words: see subword.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from espnet.text.dictionary import SPACE
from espnet.utils.errors import UserError
from espnet.utils.lines import read_lines

SILENCE = "sil"

Tokenizer = Callable[[str], list[str]]


def char_tokens(
    text: str, nchar: int = 1, symbols: Sequence[str] = (), space: str = SPACE
) -> list[str]:
    """Split into groups of ``nchar`` characters.

    Args:
        text: runs of blanks count as one.
        nchar: characters in a token; the last may be shorter.
        symbols: non-linguistic symbols such as ``<NOISE>``, each kept whole and counted
            as one character; where several fit the longest is taken.
        space: what replaces a blank.
    """
    text = " ".join(text.split())
    if symbols:
        longest_first = sorted(symbols, key=len, reverse=True)
        pattern = "|".join(re.escape(symbol) for symbol in longest_first)
        characters = re.findall(f"{pattern}|.", text)
    else:
        characters = list(text)
    if nchar > 1:
        groups = range(0, len(characters), nchar)
        characters = ["".join(characters[i : i + nchar]) for i in groups]
    return [token.replace(" ", space) for token in characters]


def phone_tokens(text: str, space: str = SPACE) -> list[str]:
    """Split at blanks; the phone ``sil`` becomes ``space``."""
    return [space if phone == SILENCE else phone for phone in text.split()]


TEXT_TOKENIZERS: dict[str, Callable[..., Tokenizer]] = {
    "char": lambda nchar, symbols, space: partial(
        char_tokens, nchar=nchar, symbols=symbols, space=space
    ),
    "phn": lambda nchar, symbols, space: partial(phone_tokens, space=space),
}


def read_symbols(path: str | Path) -> list[str]:
    """Read a file of non-linguistic symbols, one a line; empty lines do not count."""
    return [line.strip() for _, line in read_lines(path) if line.strip()]


def text_tokenizer(
    kind: str = "char", nchar: int = 1, symbols: Sequence[str] = (), space: str = SPACE
) -> Tokenizer:
    """The function text -> tokens for a key of TEXT_TOKENIZERS."""
    if nchar < 1:
        raise UserError(f"nchar: {nchar} must be 1 or more")
    return TEXT_TOKENIZERS[kind](nchar, symbols, space)
