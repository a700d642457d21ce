"""The dictionary file and its ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet.text.dictionary import Dictionary, join_tokens
from espnet.utils.errors import DataError, UserError

FILE = "<unk> 1\n<space> 2\nA 3\nÄ 4\n▁GO 5\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "units.txt"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_ids_follow_the_rule(path: Path) -> None:
    dictionary = Dictionary.load(path)
    tokens = ["<blank>", "<unk>", "<space>", "A", "Ä", "▁GO", "<eos>"]
    assert dictionary.char_list == tokens
    assert dictionary.odim == 7  # the last id of the file + 2
    assert dictionary.ids(["A", "Ä", "Q", "<space>"]) == [3, 4, 1, 2]
    assert dictionary.ids(["Q"], oov="A") == [3]
    assert dictionary.decode([3, 2, 5, 6]) == ["A", "<space>", "▁GO", "<eos>"]
    assert "A" in dictionary and "Q" not in dictionary


def test_save_writes_what_load_reads(path: Path, tmp_path: Path) -> None:
    Dictionary.load(path).save(tmp_path / "copy.txt")
    assert (tmp_path / "copy.txt").read_text(encoding="utf-8") == FILE


def test_text_has_blanks_for_space_and_no_others() -> None:
    assert join_tokens(["A", "<space>", "B", "C", "<eos>"]) == "A BC<eos>"
    assert join_tokens(["A", "_", "B"], space="_") == "A B"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<unk> 1\nA 3\n", ":2: 'A 3' must be '<token> 2'"),
        ("<unk> 1\nA\n", ":2: 'A' must be '<token> 2'"),
        ("<unk> 1\n\nB 3\n", ":2: '' must be '<token> 2'"),
        ("<unk> 1\nA x\n", ":2: 'A x' must be"),
        ("A 1\n<unk> 2\n", ":1: first token is 'A', must be '<unk>'"),
        ("", ":1: '' must be '<token> 1'"),
        ("<unk> 1\nA 2\nB 3\nA 4\n", ":4: token 'A' is in line 2 already"),
    ],
)
def test_a_wrong_line_is_named(path: Path, text: str, words: str) -> None:
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        Dictionary.load(path)
    assert f"{path}{words}" in str(caught.value)


def test_all_wrong_lines_are_named(path: Path) -> None:
    path.write_text("<unk> 1\nA\nB 3\nC\n")
    with pytest.raises(DataError) as caught:
        Dictionary.load(path)
    assert len(caught.value.problems) == 2


def test_unreadable_files_are_named(path: Path) -> None:
    with pytest.raises(
        UserError, match="none: dictionary cannot be read: No such file"
    ):
        Dictionary.load(path.with_name("none"))
    path.write_bytes(b"<unk> 1\n\xe4 2\n")
    with pytest.raises(UserError, match=r"units.txt: not UTF-8 text"):
        Dictionary.load(path)


def test_ids_and_oov_must_be_in_the_dictionary(path: Path) -> None:
    dictionary = Dictionary.load(path)
    with pytest.raises(UserError, match=r"units.txt: has no token 7, only 0 to 6; is"):
        dictionary.decode([3, 7])
    with pytest.raises(UserError, match=r"oov: '<oov>' is not a token of .*units.txt"):
        dictionary.ids(["A"], oov="<oov>")
