"""Texts as token ids, and their minibatches."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from espnet.lm.text import SentenceLoader, cached_text, cut_sentences, read_text
from espnet.text.dictionary import Dictionary
from espnet.utils.errors import UserError

DICTIONARY = Dictionary(["<unk>", "a", "b", "c"])
EOS = 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "train.txt"
    path.write_text("a b c\nb\n\nz a a c\nc c\n")
    return path


def test_reading(path: Path) -> None:
    text = read_text(str(path), DICTIONARY)
    assert [t.tolist() for t in (text[i] for i in range(len(text)))] == [
        *([2, 3, 4], [3], [], [1, 2, 2, 4], [4, 4])
    ]
    assert text.ids.dtype == np.int32 and text.oovs == 1
    assert "5 sentences, 10 tokens, 10.00 % of them not in" in text.describe()


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("\n\n")
    with pytest.raises(UserError, match="x: holds no token; it must have a sentence"):
        read_text(str(tmp_path / "x"), DICTIONARY)
    with pytest.raises(UserError, match="lost: cannot be read"):
        read_text(str(tmp_path / "lost"), DICTIONARY)


@pytest.mark.parametrize(
    ("batchsize", "maxlen", "expected"),
    [
        (1, 40, [[0], [1], [2], [3], [4]]),  # in the order of the file
        (2, 40, [[3, 0], [4, 1], [2]]),
        (9, 40, [[3, 0, 4, 1, 2]]),
        # lengths 4 3 2 1 0: 6 // (4 // 2 + 1) = 2, then 6 // (2 // 2 + 1) = 3
        (6, 2, [[3, 0], [4, 1, 2]]),
        (2, 1, [[3], [0], [4], [1], [2]]),  # at least one
    ],
)
def test_batches(batchsize: int, maxlen: int, expected: list) -> None:
    lengths = np.array([3, 1, 0, 4, 2])
    assert cut_sentences(lengths, batchsize, maxlen) == expected


def test_tensors(path: Path) -> None:
    text = read_text(str(path), DICTIONARY)
    loader = SentenceLoader(text, [[0, 1, 2]], EOS)
    (batch,) = loader.epoch(0)
    assert batch.x.tolist() == [[5, 2, 3, 4], [5, 3, 0, 0], [5, 0, 0, 0]]
    ignored = -100
    assert batch.t.tolist() == [
        [2, 3, 4, 5],
        [3, 5, ignored, ignored],
        [5, ignored, ignored, ignored],
    ]
    assert batch.uttids == tuple(f"{path}:{n}" for n in (1, 2, 3))
    assert batch.describe().startswith("3 sentences of up to 4 tokens: ")


def test_order(path: Path) -> None:
    """The seed and the epoch decide; sortagrad begins with the shortest."""
    text = read_text(str(path), DICTIONARY)
    batches = [[i] for i in range(5)]

    def loader(**options: int) -> SentenceLoader:
        return SentenceLoader(text, batches, EOS, shuffle=True, **options)

    orders = [loader(seed=1).order(epoch) for epoch in range(4)]
    assert all(sorted(order) == list(range(5)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    assert orders == [loader(seed=1).order(epoch) for epoch in range(4)]
    short_first = [2, 1, 4, 0, 3]
    assert loader(in_order=2).order(1) == short_first != loader(in_order=2).order(2)
    assert loader(in_order=-1).order(9) == short_first
    assert SentenceLoader(text, batches, EOS).order(3) == list(range(5))
    late = [b.uttids for b in loader(seed=1).epoch(2, start=3)]
    assert late == [b.uttids for b in loader(seed=1).epoch(2)][3:]


def test_fingerprint(path: Path) -> None:
    text = read_text(str(path), DICTIONARY)
    same = [SentenceLoader(text, [[0, 1], [2]], EOS).fingerprint() for _ in range(2)]
    assert same[0] == same[1]
    assert SentenceLoader(text, [[0], [1, 2]], EOS).fingerprint() != same[0]
    path.write_text(path.read_text().replace("c c", "c b"))
    other = read_text(str(path), DICTIONARY)
    assert SentenceLoader(other, [[0, 1], [2]], EOS).fingerprint() != same[0]


def test_cache_without_h5py(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"dump-hdf5-path: .* need the package h5py"):
        cached_text(str(path), DICTIONARY, str(path.parent))


def test_cache(path: Path) -> None:
    """Written once, used again; made anew for another text or dictionary."""
    h5py = pytest.importorskip("h5py")
    folder = path.parent / "cache"
    plain = read_text(str(path), DICTIONARY)
    for _ in range(2):
        text = cached_text(str(path), DICTIONARY, str(folder))
        assert text.ids.tolist() == plain.ids.tolist()
        assert text.ends.tolist() == plain.ends.tolist() and text.oovs == 1
    with h5py.File(folder / "train.txt.h5") as cache:
        assert [s.tolist() for s in cache["data"]][:2] == [[2, 3, 4], [3]]
        assert (cache["n_tokens"][()], cache["n_oovs"][()]) == (10, 1)
    larger = Dictionary(["<unk>", "a", "b", "c", "z"])
    assert cached_text(str(path), larger, str(folder)).oovs == 0
    for ids in ([[2, 99], [3]], []):  # of ESPnet1, for another dictionary; no sentence
        with h5py.File(folder / "train.txt.h5", "w") as cache:
            kind = h5py.vlen_dtype("int32")
            data = cache.create_dataset("data", (len(ids),), dtype=kind)
            for number, sentence in enumerate(ids):
                data[number] = sentence
            cache["n_oovs"] = 0
        text = cached_text(str(path), DICTIONARY, str(folder))
        assert text.ids.tolist() == plain.ids.tolist()
    (folder / "train.txt.h5").write_text("x")
    with pytest.raises(UserError, match="is no cache of a text .* delete it"):
        cached_text(str(path), DICTIONARY, str(folder))
