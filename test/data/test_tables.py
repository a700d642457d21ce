"""Rspecifiers and wspecifiers: which are understood, and which are refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from espnet.data.containers import Entry, StoreOptions, write_table
from espnet.data.tables import (
    is_specifier,
    parse_wspecifier,
    plain_path,
    read_table,
)
from espnet.utils.errors import UserError

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "out, back",
    [
        ("ark:a", "ark:a"),
        ("ark,t:a", "ark,s,cs:a"),
        ("ark,scp:a,b", "scp:b"),
        ("scp,ark:b,a", "scp,p:b"),
        ("ark,scp,t:a,b", "ark:cat a |"),
    ],
)
def test_what_one_specifier_writes_another_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, back: str
) -> None:
    monkeypatch.chdir(tmp_path)
    entries = [Entry("k1", MATRIX), Entry("k2", MATRIX + 1)]
    assert write_table(entries, out, StoreOptions()) == 2
    if back == "scp,p:b":  # permissive reading would hide what is missing
        with pytest.raises(UserError, match="is no rspecifier"):
            list(read_table(back))
        back = "scp:b"
    read = dict(read_table(back, np.float64))
    assert list(read) == ["k1", "k2"] and read["k2"].dtype == np.float64
    np.testing.assert_array_equal(read["k2"], MATRIX + 1)


@pytest.mark.parametrize(
    "text", ["a", "ark:", "ark,scp:a", "scp:a", "npy:a", "ark,q:a"]
)
def test_other_outputs_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"'{text}' is no wspecifier")):
        parse_wspecifier(text)


@pytest.mark.parametrize(
    "text, words",
    [
        ("a", "'a' is no rspecifier: expected ark:FILE or scp:FILE"),
        ("ark,scp:a,b", "is no rspecifier"),
        ("ark:none", "none: No such file"),
        ("ark:exit 3 |", "exit 3 |: failed with status 3"),
    ],
)
def test_other_inputs_are_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        list(read_table(text))


def test_files_are_told_from_tables() -> None:
    assert is_specifier("ark,t:x") and not is_specifier("cmvn.ark")
    assert not is_specifier("exp/a:b")
    assert plain_path("ark,t:x") == plain_path("ark:x") == plain_path("x") == "x"
