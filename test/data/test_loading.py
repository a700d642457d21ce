"""load_features: every kind of input that data.json may name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from espnet.data.ark import open_ark_writer
from espnet.data.audio import encode_wav
from espnet.data.loading import load_features
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


def test_other_filetypes_and_unreadable_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="x.h5:a: filetype: 'hdf5' is none of mat, vec"):
        load_features("x.h5:a", "hdf5")
    with pytest.raises(UserError, match=r"x.npy: cannot be read as npy"):
        load_features("x.npy", "npy")
    np.savez(tmp_path / "a.npz", key=ARRAY)
    with pytest.raises(UserError, match=r"a.npz:b: cannot be read as npz"):
        load_features(f"{tmp_path}/a.npz:b", "npz")
