"""load_features: every kind of input that data.json may name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from espnet.data.ark import open_ark_writer
from espnet.data.audio import encode_wav
from espnet.data.loading import file_of, load_features
from espnet.utils.errors import UserError

ARRAY = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_each_filetype_gives_the_array(tmp_path: Path) -> None:
    with open_ark_writer(tmp_path / "a.ark") as writer:
        writer.write("m", ARRAY)
        writer.write("v", ARRAY[0])
    places = {"mat": f"{tmp_path}/a.ark:2", "vec": f"{tmp_path}/a.ark:43"}
    np.save(tmp_path / "a.npy", ARRAY)
    np.savez(tmp_path / "a.npz", key=ARRAY)
    places |= {"npy": f"{tmp_path}/a.npy", "npz": f"{tmp_path}/a.npz:key"}
    for kind, place in places.items():
        expected = ARRAY[0] if kind == "vec" else ARRAY
        np.testing.assert_array_equal(load_features(place, kind), expected)
    np.testing.assert_array_equal(load_features(places["mat"]), ARRAY)


@pytest.mark.parametrize("samples", [ARRAY[:, 0], ARRAY])
def test_sound_has_a_channel_axis_if_it_has_channels(
    tmp_path: Path, samples: np.ndarray
) -> None:
    (tmp_path / "a.wav").write_bytes(encode_wav(samples, 8000))
    np.testing.assert_array_equal(load_features(f"{tmp_path}/a.wav", "sound"), samples)


def test_sound_formats_in_containers(tmp_path: Path) -> None:
    """An scp file may name arks and sounds; an HDF5 entry holds a file's bytes."""
    h5py = pytest.importorskip("h5py")
    wav = encode_wav(ARRAY[:, 0], 8000)
    (tmp_path / "a.wav").write_bytes(wav)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["utt"] = ARRAY
        file["wav"] = np.frombuffer(wav, dtype=np.uint8)
        file["stereo"] = np.frombuffer(encode_wav(ARRAY, 8000), dtype=np.uint8)
    with open_ark_writer(tmp_path / "a.ark") as writer:
        writer.write("m", ARRAY)
    (tmp_path / "x.scp").write_text(
        f"m {tmp_path}/a.ark:2\nr {tmp_path}/a.ark:2[1:2]\nw {tmp_path}/a.wav\n"
        f"c cat {tmp_path}/a.wav |\n"
    )
    for place, kind, expected in (
        ("a.h5:utt", "hdf5", ARRAY),
        ("a.h5:wav", "sound.hdf5", ARRAY[:, 0]),
        ("a.h5:stereo", "sound.hdf5", ARRAY),
        ("x.scp:m", "scp", ARRAY),
        ("x.scp:r", "scp", ARRAY[1:]),
        ("x.scp:w", "scp", ARRAY[:, 0]),
        ("x.scp:c", "scp", ARRAY[:, 0]),
    ):
        array = load_features(f"{tmp_path}/{place}", kind)
        np.testing.assert_array_equal(array, expected, err_msg=place)
        file = place.partition(":")[0]
        assert file_of(f"{tmp_path}/{place}", kind) == f"{tmp_path}/{file}"
    assert file_of("a.ark:7[0:3]") == "a.ark" and file_of("a.mat") == "a.mat"


def test_other_filetypes_and_unreadable_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="x.h5:a: filetype: 'hdf' is none of mat, vec"):
        load_features("x.h5:a", "hdf")
    with pytest.raises(UserError, match=r"x.npy: cannot be read as npy"):
        load_features("x.npy", "npy")
    np.savez(tmp_path / "a.npz", key=ARRAY)
    with pytest.raises(UserError, match=r"a.npz:b: cannot be read as npz"):
        load_features(f"{tmp_path}/a.npz:b", "npz")
    for kind in ("hdf5", "sound.hdf5", "npz", "scp"):
        with pytest.raises(UserError, match=f"^a.x: filetype {kind} needs file:key"):
            load_features("a.x", kind)
    (tmp_path / "x.scp").write_text("a a.ark:2\n")
    with pytest.raises(UserError, match=r"x.scp: has no line for 'b'"):
        load_features(f"{tmp_path}/x.scp:b", "scp")


def test_hdf5_files_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = ARRAY
    (tmp_path / "text.h5").write_text("no HDF5")
    for place, words in (
        ("a.h5:b", "a.h5: has no data set 'b'"),
        ("text.h5:b", "text.h5: is no HDF5 file"),
        ("gone.h5:b", "gone.h5: "),
    ):
        with pytest.raises(UserError, match=words):
            load_features(f"{tmp_path}/{place}", "hdf5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"other.h5: .* pip install h5py"):
        load_features(f"{tmp_path}/other.h5:a", "hdf5")
