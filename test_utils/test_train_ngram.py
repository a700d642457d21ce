"""``train_ngram.py``: a text becomes an ARPA file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from espnet.nets.scorers.arpa import read_arpa

SCRIPT = Path(__file__).resolve().parents[1] / "utils" / "train_ngram.py"


def call(folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *map(str, args)], cwd=folder, capture_output=True, text=True
    )


@pytest.mark.parametrize("order", [1, 2, 4])
def test_writes_what_is_read(tmp_path: Path, order: int) -> None:
    (tmp_path / "text").write_text("a b c\nb c\n\na b\n▁x é\n", encoding="utf-8")
    found = call(tmp_path, "text", "lm.arpa", "--order", order)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("lm.arpa: 8 1-grams")
    model = read_arpa(tmp_path / "lm.arpa")
    assert model.order == order
    assert set(model.words) == {*"abc", "▁x", "é", "<s>", "</s>", "<unk>"}
    total = (10 ** model.scores(model.start())).sum() - 10**-99
    assert abs(total - 1) < 1e-5


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (None, (), "text: cannot be read"),
        ("\n", (), "text: holds no word"),
        ("a\n<s> b\n", (), "text:2: '<s>' marks the border of a sentence"),
        ("a\n", ("--order", 0), "order: 0 must be 1 or more"),
    ],
)
def test_mistakes(
    tmp_path: Path, text: str | None, options: tuple, message: str
) -> None:
    if text is not None:
        (tmp_path / "text").write_text(text)
    found = call(tmp_path, "text", "lm.arpa", *options)
    assert found.returncode == 1
    assert f"train_ngram.py: error: {message}" in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "lm.arpa").exists()
