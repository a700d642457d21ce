"""Normalisation by statistics in every form of file, and by the utterance."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from espnet.transform.cmvn import CMVN, UtteranceCMVN
from espnet.utils.errors import UserError

X = np.random.default_rng(0).normal(3, 2, (40, 5)).astype("f4")
Y = np.random.default_rng(1).normal(-1, 4, (30, 5)).astype("f4")


def statistics(x: np.ndarray) -> np.ndarray:
    x = x.astype("f8")
    sums = np.append(x.sum(axis=0), len(x))
    return np.stack([sums, np.append((x**2).sum(axis=0), 0)])


def binary(stats: np.ndarray, kind: bytes = b"DM ") -> bytes:
    data = stats.astype("<f8" if kind == b"DM " else "<f4").tobytes()
    return b"\0B" + kind + struct.pack("<bibi", 4, *(2, 4, 6)[:1], 4, 6) + data


def text(stats: np.ndarray) -> bytes:
    rows = "\n".join("  " + " ".join(f"{v!r}" for v in row.tolist()) for row in stats)
    return f" [\n{rows} ]\n".encode()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The same statistics in Kaldi's forms and numpy's; archives for two speakers."""
    of_x, of_y = statistics(X), statistics(Y)
    contents = {
        "double": binary(of_x),
        "float": binary(of_x, b"FM "),
        "text": text(of_x),
        "archive": b"a " + binary(of_x) + b"b " + binary(of_y),
        "text_archive": b"a " + text(of_x) + b"b " + text(of_y),
        "utt2spk": b"a-1 a\nb-1 b\n",
        "spk2utt": b"a a-0 a-1\nb b-1\n",
        "not": b"a [ 1 2\n",
        "empty": b"",
        "no_frames": binary(np.zeros((2, 6))),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "stats.npy", of_x)
    names = [*contents, "stats.npy"]
    return {name: str(tmp_path / name) for name in names}


@pytest.mark.parametrize("name", ["double", "float", "text", "stats.npy"])
def test_statistics_of_the_corpus(files: dict[str, str], name: str) -> None:
    filetype = "npy" if name.endswith("npy") else "mat"
    y = CMVN(files[name], norm_vars=True, filetype=filetype)(X, None)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-4)
    assert y.dtype == np.float32


@pytest.mark.parametrize("archive", ["archive", "text_archive"])
@pytest.mark.parametrize("table", ["utt2spk", "spk2utt"])
def test_statistics_of_the_speaker(
    files: dict[str, str], archive: str, table: str
) -> None:
    step = CMVN(files[archive], **{table: files[table]})  # type: ignore[arg-type]
    np.testing.assert_allclose(step(X, "a-1"), X - X.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(step(Y, "b-1"), Y - Y.mean(axis=0), atol=1e-5)
    with pytest.raises(UserError, match=f"{table}: has no line for utterance 'c'"):
        step(X, "c")


def test_statistics_of_the_utterance_by_its_id(files: dict[str, str]) -> None:
    step = CMVN(files["archive"])
    np.testing.assert_allclose(step(Y, "b"), Y - Y.mean(axis=0), atol=1e-5)
    with pytest.raises(UserError, match="archive: has no statistics for 'c'"):
        step(X, "c")


@pytest.mark.parametrize("means", [True, False])
@pytest.mark.parametrize("variances", [True, False])
def test_reverse_undoes(files: dict[str, str], means: bool, variances: bool) -> None:
    there = CMVN(files["double"], means, variances)
    back = CMVN(files["double"], means, variances, reverse=True)
    np.testing.assert_allclose(back(there(Y, None), None), Y, atol=1e-4)


def test_the_floor_of_the_deviation(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", statistics(np.ones((4, 5))))
    step = CMVN(str(tmp_path / "s.npy"), norm_vars=True, filetype="npy", std_floor=0.5)
    np.testing.assert_allclose(step(X, None), (X - 1) / 0.5, rtol=1e-5)


def test_by_the_utterance_itself() -> None:
    np.testing.assert_allclose(UtteranceCMVN()(X), X - X.mean(axis=0), atol=1e-6)
    y = UtteranceCMVN(norm_vars=True)(X)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-5)
    scaled = UtteranceCMVN(norm_means=False, norm_vars=True)(X)
    np.testing.assert_allclose(scaled, X / X.std(axis=0), rtol=1e-5)
    constant = np.ones((4, 2), "f4")
    np.testing.assert_array_equal(UtteranceCMVN(norm_vars=True)(constant), 0)


@pytest.mark.parametrize(
    ("name", "filetype", "message"),
    [
        ("missing", "mat", "missing: cannot be read: No such file"),
        ("not", "mat", "not: not a Kaldi matrix or archive"),
        ("empty", "mat", "empty: is empty"),
        ("no_frames", "mat", r"shape \(2, 6\) and 0 frames, must be"),
        ("double", "npy", "double: not a numpy array"),
        ("missing", "npy", "missing: not a numpy array"),
    ],
)
def test_files_that_are_no_statistics(
    files: dict[str, str], tmp_path: Path, name: str, filetype: str, message: str
) -> None:
    path = files.get(name, str(tmp_path / name))
    with pytest.raises(UserError, match=message):
        CMVN(path, filetype=filetype)


def test_features_of_another_dimension(files: dict[str, str]) -> None:
    with pytest.raises(UserError, match="dimension 4, but .*double is for 5"):
        CMVN(files["double"])(X[:, :4], None)
