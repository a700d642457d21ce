"""Tables in every container: what is written is read again; faults are named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet.data.containers import (
    Entry,
    StoreOptions,
    converted,
    read_entries,
    read_sounds,
    write_table,
)
from espnet.utils.errors import UserError

RNG = np.random.default_rng(0)
FEATS = [Entry(f"u{n}", RNG.normal(size=(4 + n, 3)).astype("f4")) for n in range(3)]
RATE = 8000
SOUNDS = [
    Entry("mono", RNG.integers(-9999, 9999, 800).astype("f4"), RATE),
    Entry("stereo", RNG.integers(-9999, 9999, (700, 2)).astype("f4"), RATE),
]
STORE = StoreOptions()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same(read: list[Entry], written: list[Entry]) -> bool:
    return all(
        (a.key, a.rate) == (b.key, b.rate) and np.array_equal(a.array, b.array)
        for a, b in zip(read, written, strict=True)
    )


@pytest.mark.parametrize("filetype", ["mat", "hdf5"])
@pytest.mark.parametrize("compress", [False, True])
def test_features_come_back(filetype: str, compress: bool) -> None:
    pytest.importorskip("h5py")
    options = StoreOptions(compress=compress, write_num_frames="ark,t:frames")
    assert write_table(FEATS, "ark,scp:a,b", options, filetype) == 3
    for source in ("ark:a", "scp:b"):
        read = list(read_entries(source, filetype))
        if filetype == "mat" and compress:
            for one, other in zip(read, FEATS, strict=True):
                np.testing.assert_allclose(one.array, other.array, atol=0.05)
        else:
            assert same(read, FEATS)
    assert [e.key for e in read_entries("scp:b", filetype, (2, 3))] == ["u1"]
    assert Path("frames").read_text() == "u0 4\nu1 5\nu2 6\n"


@pytest.mark.parametrize("audio_format", [None, "wav", "flac"])
def test_sounds_come_back(audio_format: str | None) -> None:
    pytest.importorskip("h5py")
    write_table(SOUNDS, "ark,scp:wavs,w.scp", STORE, "sound", audio_format)
    write_table(SOUNDS, "ark,scp:w.h5,h.scp", STORE, "sound.hdf5", audio_format)
    assert same(list(read_entries("scp:w.scp", "sound")), SOUNDS)
    assert same(list(read_entries("scp:h.scp", "sound.hdf5")), SOUNDS)
    assert same(list(read_entries("ark:w.h5", "sound.hdf5")), SOUNDS)
    path = Path("wavs", f"mono.{audio_format or 'wav'}")
    assert soundfile.read(path, dtype="int16")[1] == RATE  # another library reads it


def test_h5py_reads_what_is_written() -> None:
    h5py = pytest.importorskip("h5py")
    write_table(FEATS, "ark:f.h5", STORE, "hdf5")
    write_table(SOUNDS, "ark:s.wav.h5", STORE, "sound.hdf5")
    with h5py.File("f.h5") as feats, h5py.File("s.wav.h5") as sounds:
        np.testing.assert_array_equal(feats["u1"][()], FEATS[1].array)
        content = sounds["mono"][()].tobytes()
    assert content[:4] == b"RIFF"  # the format stands in the second suffix
    samples, _ = soundfile.read(io.BytesIO(content), dtype="int16")
    np.testing.assert_array_equal(samples, SOUNDS[0].array)


def test_vectors_are_arrays_too() -> None:
    write_table(SOUNDS[:1], "ark,scp:a,b", STORE)
    (entry,) = read_entries("scp:b")
    np.testing.assert_array_equal(entry.array, SOUNDS[0].array)


def test_segments_cut_sounds() -> None:
    write_table(SOUNDS, "ark,scp:wavs,w.scp", STORE, "sound")
    Path("segments").write_text(
        "a mono 0.01 0.05\nb stereo 0.0 -1\nc stereo 0.02 0.04 1\n"
    )
    a, b, c = read_sounds("scp:w.scp", "segments")
    np.testing.assert_array_equal(a.array, SOUNDS[0].array[80:400])
    np.testing.assert_array_equal(b.array, SOUNDS[1].array)
    np.testing.assert_array_equal(c.array, SOUNDS[1].array[160:320, 1])
    (second,) = read_sounds("scp:w.scp", "segments", (2, 3))
    assert second.key == "b"


@pytest.mark.parametrize(
    "filetype, source, words",
    [
        ("sound", "ark:w", "'ark:w': sound files are read by scp:FILE"),
        ("wav", "scp:w", "filetype: 'wav' is none of"),
        ("hdf5", "ark:none.h5", "none.h5: "),
        ("hdf5", "ark:text", "text: is no HDF5 file"),
        ("hdf5", "scp:text", "text:1: u: 'file': expected 'file.h5:key'"),
        ("hdf5", "scp:scp", "scp:1: u: f.h5: has no data set 'x'"),
        ("sound", "scp:text", "text:1: u: file: No such file"),
    ],
)
def test_bad_input_is_named(filetype: str, source: str, words: str) -> None:
    pytest.importorskip("h5py")
    write_table(FEATS, "ark:f.h5", STORE, "hdf5")
    Path("text").write_text("u file\n")
    Path("scp").write_text("u f.h5:x\n")
    with pytest.raises(UserError) as error:
        list(read_entries(source, filetype))
    assert words in str(error.value)


def test_what_cannot_be_written_is_named_and_leaves_nothing(folder: Path) -> None:
    pytest.importorskip("h5py")
    with pytest.raises(UserError, match="u0: is no sound with a sampling rate"):
        write_table(FEATS, "ark:s.h5", STORE, "sound.hdf5")
    with pytest.raises(UserError, match="u0: comes twice in the input"):
        write_table([FEATS[0]] * 2, "ark,scp:f.h5,f.scp", STORE, "hdf5")
    with pytest.raises(UserError, match="audio format: 'mp5'"):
        write_table(SOUNDS, "ark:s.h5", STORE, "sound.hdf5", "mp5")

    def refuse(key: str, array: np.ndarray) -> np.ndarray:
        raise UserError("is odd")

    with pytest.raises(UserError, match="u0: is odd"):
        write_table(converted(FEATS, refuse), "ark:a", STORE)
    assert list(folder.iterdir()) == []
