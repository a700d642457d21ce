"""Reading of text files: every complaint has file:line."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet.utils.errors import DataError, UserError
from espnet.utils.lines import read_lines, read_table, shorten, split_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "text"


def test_lines_end_at_newlines_only(path: Path) -> None:
    path.write_bytes("a\u2028b\r\n\n c".encode())
    assert list(read_lines(path)) == [(1, "a\u2028b"), (2, ""), (3, " c")]


def test_a_table_keeps_order_and_inner_blanks(path: Path) -> None:
    path.write_text("b x  y \na\tz\n")
    assert list(read_table(path).items()) == [("b", "x  y"), ("a", "z")]
    path.write_text("b\na \n")
    assert read_table(path, allow_empty=True) == {"b": "", "a": ""}


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("a b c", "a", "b c"),
        ("  a\t b  c ", "a", "b  c"),
        ("a\tb", "a", "b"),
        ("a", "a", ""),
        ("", "", ""),
        ("a \u3000x", "a", "\u3000x"),  # only ASCII blanks separate
        ("a b\r", "a", "b"),
    ],
)
def test_split_key(line: str, key: str, value: str) -> None:
    assert split_key(line) == (key, value)


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2028", "\x1f"])
def test_only_ascii_blanks_separate(path: Path, space: str) -> None:
    """In a key, in a value, and at both ends of one."""
    path.write_text(f"a{space}b x{space}y\nc {space}z{space} \n", encoding="utf-8")
    assert read_table(path) == {
        f"a{space}b": f"x{space}y",
        "c": f"{space}z{space}",
    }


def test_every_bad_line_of_a_table_is_named(path: Path) -> None:
    path.write_text("a 1\n\nb\na 2\na\n")
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert caught.value.problems == [
        f"{path}:2: empty line; delete it",
        f"{path}:3: 'b' has nothing after it",
        f"{path}:4: 'a' is in line 1 already",
        f"{path}:5: 'a' is in line 1 already",
    ]


def test_files_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(UserError, match="text: cannot be read: No such file"):
        list(read_lines(path))
    path.write_bytes(b"a\n\xe4\n")
    with pytest.raises(UserError, match=r"text:2: not UTF-8 text \(byte 0xe4\)"):
        list(read_lines(path))


def test_long_lists_are_shortened() -> None:
    assert shorten(["a", "b"], limit=2) == ["a", "b"]
    assert shorten(["a", "b", "c", "d"], limit=2) == ["a", "b", "... and 2 more"]
