"""Archives: what is written is read back, by us and kaldiio; errors name the place."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from espnet.data.ark import (
    iter_ark,
    iter_matrices,
    iter_scp,
    iter_shapes,
    open_ark_writer,
    read_global,
    read_matrix,
    read_scp,
    read_vector,
    write_global,
)
from espnet.utils.errors import DataError, UserError

RNG = np.random.default_rng(0)
MATRICES = {
    f"utt{n}": RNG.normal(size=(n, 5)).astype(np.float32) for n in (1, 4, 9, 30)
}


def read_shape(place: str) -> tuple[int, ...]:
    return next(shape for _, shape in iter_shapes([("", place)]))


def write(folder: Path, arrays: dict[str, np.ndarray], **how: bool) -> Path:
    scp = folder / "feats.scp"
    with open_ark_writer(folder / "feats.ark", scp, **how) as writer:
        for key, array in arrays.items():
            writer.write(key, array)
    return scp


def test_only_ascii_blanks_end_a_key(tmp_path: Path) -> None:
    scp = tmp_path / "feats.scp"
    scp.write_text("a\u3000b\tx\u00a0y.ark:1 \n", encoding="utf-8")
    expected = ("a\u3000b", "x\u00a0y.ark:1")
    assert list(iter_scp(scp)) == [(1, *expected)]
    assert read_scp(scp) == dict([expected])


@pytest.mark.parametrize("text", [False, True])
def test_matrices_are_read_back_by_place_in_order_and_by_kaldiio(
    tmp_path: Path, text: bool
) -> None:
    scp = write(tmp_path, MATRICES, text=text)
    places = read_scp(scp)
    other = kaldiio.load_scp(str(scp))
    assert list(places) == list(MATRICES)
    for key, matrix in MATRICES.items():
        array = read_matrix(places[key])
        assert array.dtype == np.float32 and array.flags.writeable
        np.testing.assert_allclose(array, matrix, rtol=1e-6)
        np.testing.assert_array_equal(array, other[key])
        assert read_shape(places[key]) == matrix.shape
    assert [key for key, _ in iter_matrices(scp)] == list(MATRICES)
    with open(tmp_path / "feats.ark", "rb") as stream:
        read = dict(iter_ark(stream, "feats.ark"))
    assert {key: m.shape for key, m in read.items()} == {
        key: m.shape for key, m in MATRICES.items()
    }


def test_compression_keeps_values_within_its_steps(tmp_path: Path) -> None:
    feats = RNG.normal(size=(200, 5)).astype(np.float32)
    places = read_scp(write(tmp_path, {**MATRICES, "long": feats}, compress=True))
    assert read_shape(places["long"]) == feats.shape
    array = read_matrix(places["long"])
    # a column has 64 + 128 + 63 steps between its minimum, quartiles and maximum
    low, q1, q3, high = np.percentile(feats, [0, 25, 75, 100], axis=0)
    step = np.maximum.reduce([(q1 - low) / 64, (q3 - q1) / 128, (high - q3) / 63])
    assert (np.abs(array - feats) <= step).all()
    assert os.path.getsize(tmp_path / "feats.ark") < 2 * feats.size
    for key, matrix in MATRICES.items():  # matrices too short for quartiles
        np.testing.assert_allclose(read_matrix(places[key]), matrix, atol=0.1)


def test_rows_of_a_place_and_vectors(tmp_path: Path) -> None:
    vector = np.arange(3, dtype=np.float32)
    places = read_scp(write(tmp_path, {**MATRICES, "vec": vector}))
    place = places["utt30"] + "[2:5]"
    np.testing.assert_array_equal(read_matrix(place), MATRICES["utt30"][2:6])
    assert read_shape(place) == (4, 5)
    np.testing.assert_array_equal(read_vector(places["vec"]), vector)
    assert list(iter_shapes(places.items()))[-1] == ("vec", (3,))
    with pytest.raises(UserError, match=r"holds no matrix, its shape is \(3,\)"):
        read_matrix(places["vec"])


def test_global_matrix_has_no_key_and_stays_double(tmp_path: Path) -> None:
    stats = RNG.normal(size=(2, 4))
    write_global(str(tmp_path / "cmvn.ark"), stats)
    np.testing.assert_array_equal(read_global(str(tmp_path / "cmvn.ark")), stats)
    np.testing.assert_array_equal(kaldiio.load_mat(str(tmp_path / "cmvn.ark")), stats)


def test_a_failed_writer_leaves_nothing_and_keeps_the_old_files(tmp_path: Path) -> None:
    scp = write(tmp_path, MATRICES)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with (
        pytest.raises(RuntimeError),
        open_ark_writer(tmp_path / "feats.ark", scp) as out,
    ):
        out.write("new", MATRICES["utt4"])
        raise RuntimeError
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_values_that_compression_cannot_hold_are_refused(tmp_path: Path) -> None:
    bad = np.full((3, 2), np.nan, dtype=np.float32)
    with pytest.raises(UserError, match="utt: has NaN or infinite values"):
        write(tmp_path, {"utt": bad}, compress=True)


@pytest.mark.parametrize(
    "content, words",
    [
        ("a x:1\nb\n", r"feats.scp:2: 'b' has nothing after it"),
        ("a x:1\na y:2\n", r"feats.scp:2: 'a' is in line 1 already"),
        ("a x:1\n\n", r"feats.scp:2: empty line"),
    ],
)
def test_scp_errors_name_the_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "feats.scp").write_text(content)
    with pytest.raises(DataError, match=words):
        read_scp(tmp_path / "feats.scp")


def test_damaged_archives_are_refused_by_name(tmp_path: Path) -> None:
    places = read_scp(write(tmp_path, MATRICES))
    ark = tmp_path / "feats.ark"
    whole = ark.read_bytes()
    ark.write_bytes(whole[:-8])
    with pytest.raises(UserError, match=r"feats.ark:\d+: damaged or cut off"):
        read_matrix(places["utt30"])
    ark.write_bytes(whole[:20])
    with pytest.raises(UserError, match=r"feats.ark:\d+: the file ends before"):
        read_matrix(places["utt30"])
    with pytest.raises(UserError, match=r"feats.scp:1: utt1: .*damaged or cut off"):
        list(iter_matrices(tmp_path / "feats.scp"))
    with pytest.raises(UserError, match=r"feats.ark:3: no Kaldi matrix or vector"):
        read_matrix(f"{ark}:3")
    with pytest.raises(UserError, match=r"none.ark: No such file"):
        read_matrix(f"{tmp_path}/none.ark:3")
    with pytest.raises(UserError, match=r"^stdin: damaged, or no archive"):
        list(iter_ark(io.BytesIO(b"\xdakey "), "stdin"))
    with pytest.raises(UserError, match=r"not a place in an ark file"):
        read_matrix("rm -r x |")


def test_pickles_in_archives_are_not_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "owned"),)

    data = io.BytesIO()
    data.write(b"utt PKL" + pickle.dumps(Bomb()))
    (tmp_path / "x.ark").write_bytes(data.getvalue())
    with pytest.raises(UserError, match="no Kaldi matrix or vector"):
        read_matrix(f"{tmp_path}/x.ark:4")
    assert not (tmp_path / "owned").exists()
