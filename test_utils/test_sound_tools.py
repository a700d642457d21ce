"""Commands on sounds: spectra, copies, segments, channels; and HDF5 from end to end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet.data.audio import encode_wav
from espnet.transform.spectrogram import LogMelSpectrogram, Spectrogram

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Stdout = Callable[..., str]
RATE = 16000
SOUNDS = {
    f"u{n}": (np.random.default_rng(n).normal(0, 3000, 5000 + 100 * n)).astype("i2")
    for n in range(3)
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory ``data/t`` with three recordings; the tests run beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/t"
    folder.mkdir(parents=True)
    for key, samples in SOUNDS.items():
        (tmp_path / f"{key}.wav").write_bytes(encode_wav(samples, RATE))
    (folder / "wav.scp").write_text("".join(f"{u} {u}.wav\n" for u in SOUNDS))
    (folder / "utt2spk").write_text("".join(f"{u} a\n" for u in SOUNDS))
    return folder


@pytest.mark.parametrize("script", ["make_fbank.sh", "make_stft.sh"])
@pytest.mark.parametrize("filetype", ["mat", "hdf5"])
def test_spectra_of_a_data_directory(
    data: Path, stdout_of: Stdout, script: str, filetype: str
) -> None:
    h5py = pytest.importorskip("h5py")
    sizes = ["--n_fft", 256, "--n_shift", 128, "--compress", "false"]
    options = ["--nj", 2, "--filetype", filetype, *sizes]
    stdout_of(script, *options, "data/t", "log", "feats")
    reference = Spectrogram(256, 128)
    if script == "make_fbank.sh":
        reference = LogMelSpectrogram(RATE, 80, 256, 128)
    if filetype == "mat":
        feats = dict(kaldiio.load_scp(str(data / "feats.scp")).items())
    else:
        places = dict(x.split() for x in (data / "feats.scp").read_text().splitlines())
        feats = {}
        for key, place in places.items():
            with h5py.File(place.rpartition(":")[0]) as file:
                feats[key] = file[key][()]
    assert list(feats) == list(SOUNDS)
    for key, samples in SOUNDS.items():
        expected = reference(samples / np.float32(2**15))
        np.testing.assert_allclose(feats[key], expected, rtol=1e-5, atol=1e-6)
    assert (data / "filetype").read_text() == f"{filetype}\n"
    frames = (data / "utt2num_frames").read_text().splitlines()
    assert frames == [f"{key} {len(feats[key])}" for key in SOUNDS]


def test_compute_fbank_resamples_and_names_a_bad_band(
    data: Path, tmp_path: Path, run: Run, stdout_of: Stdout
) -> None:
    arguments = ["--n_fft", 256, "--n_shift", 80, "scp:data/t/wav.scp", "ark:a"]
    stdout_of("compute-fbank-feats.py", "--fs", 8000, *arguments)
    feats = dict(kaldiio.load_ark(str(tmp_path / "a")))
    assert feats["u0"].shape == (1 + 2500 // 80, 80)
    done = run("compute-fbank-feats.py", "--fs", 8000, "--fmax", 5000, *arguments)
    assert done.returncode == 1
    assert "fmax 5000 must satisfy 0 <= fmin < fmax <= fs / 2 = 4000" in done.stderr


@pytest.mark.parametrize("filetype", ["mat", "hdf5", "sound.hdf5", "sound"])
def test_dump_pcm_and_read_it_again(
    data: Path, tmp_path: Path, stdout_of: Stdout, filetype: str
) -> None:
    pytest.importorskip("h5py")
    (data / "segments").write_text("a u0 0.0 0.1\nb u1 0.1 0.2\n")
    stdout_of("dump_pcm.sh", "--nj", 2, "--filetype", filetype, "data/t", "log", "pcm")
    shapes = stdout_of("feat-to-shape.py", "--filetype", filetype, FEATS, "-")
    assert shapes == "a 1600\nb 1600\n"
    stdout_of("copy-feats.py", "--in-filetype", filetype, FEATS, "ark:copied")
    copied = dict(kaldiio.load_ark(str(tmp_path / "copied")))
    np.testing.assert_array_equal(copied["a"], SOUNDS["u0"][:1600])
    np.testing.assert_array_equal(copied["b"], SOUNDS["u1"][1600:3200])


FEATS = "scp:data/t/feats.scp"


@pytest.mark.parametrize("keep", [True, False])
def test_dump_pcm_with_transforms(data: Path, stdout_of: Stdout, keep: bool) -> None:
    step = "{type: speed_perturbation, lower: 2.0, upper: 2.0, keep_length: false}"
    conf = f"process: [{step}]"
    (data.parents[1] / "speed.yaml").write_text(conf)
    options = ["--preprocess-conf", "speed.yaml", "--keep-length", str(keep).lower()]
    stdout_of("dump_pcm.sh", *options, "data/t")
    shapes = stdout_of("feat-to-shape.py", FEATS, "-").split()
    assert shapes[1] == ("5000" if keep else "2500")


def test_transforms_of_copy_feats_and_shapes(
    data: Path, tmp_path: Path, stdout_of: Stdout
) -> None:
    conf = "process: [{type: fbank, fs: 16000, n_mels: 23, n_fft: 512, n_shift: 160}]"
    (tmp_path / "fbank.yaml").write_text(conf)
    options = ["--preprocess-conf", "fbank.yaml", "--in-filetype", "sound"]
    stdout_of("copy-feats.py", *options, "scp:data/t/wav.scp", "ark:f")
    reference = LogMelSpectrogram(RATE, 23, 512, 160)
    for key, feats in kaldiio.load_ark(str(tmp_path / "f")):
        np.testing.assert_allclose(feats, reference(SOUNDS[key].astype("f4")), 1e-5)
    shapes = stdout_of(
        "feat_to_shape.sh",
        *("--nj", 2, "--filetype", "sound", "--preprocess-conf", "fbank.yaml"),
        *("data/t/wav.scp", "shapes"),
    )
    shapes = (tmp_path / "shapes").read_text()
    assert shapes == "u0 32,23\nu1 32,23\nu2 33,23\n"
    arguments = [*options, "scp:data/t/wav.scp", "ark,scp:s.ark,s.scp"]
    stdout_of("compute-cmvn-stats.py", *arguments)
    stats = dict(kaldiio.load_scp(str(tmp_path / "s.scp")).items())
    assert stats["u2"].shape == (2, 24) and stats["u2"][0, -1] == 33


def test_statistics_as_npy_and_hdf5(
    data: Path, tmp_path: Path, run: Run, stdout_of: Stdout
) -> None:
    pytest.importorskip("h5py")
    sizes = ["--n_fft", 256, "--n_shift", 128]
    stdout_of("compute-stft-feats.py", *sizes, "scp:data/t/wav.scp", "ark:a")
    stdout_of("compute-cmvn-stats.py", "--out-filetype", "npy", "ark:a", "s.npy")
    stats = ["--out-filetype", "hdf5", "ark:a", "ark:s.h5"]
    stdout_of("compute-cmvn-stats.py", *stats)
    for kind, name in (("npy", "s.npy"), ("hdf5", "ark:s.h5")):
        options = ["--stats-filetype", kind, "--norm-vars", "true"]
        stdout_of("apply-cmvn.py", *options, name, "ark:a", f"ark:{kind}.ark")
        feats = dict(kaldiio.load_ark(str(tmp_path / f"{kind}.ark")))
        joined = np.concatenate(list(feats.values())) if kind == "npy" else feats["u0"]
        np.testing.assert_allclose(joined.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(joined.std(0), 1, atol=1e-3)
    # the other kind is meant, and that is said
    npy, hdf5 = (["--out-filetype", kind, "ark:a"] for kind in ("npy", "hdf5"))
    assert "written as npy" in run("compute-cmvn-stats.py", *hdf5, "one").stderr
    assert "written as hdf5" in run("compute-cmvn-stats.py", *npy, "ark:many").stderr
    for one, other in (("one", "s.npy"), ("many", "s.h5")):
        kinds = [(tmp_path / name).read_bytes()[:6] for name in (one, other)]
        assert kinds[0] == kinds[1]
    done = run(
        "compute-cmvn-stats.py", "--in-filetype", "sound", "scp:data/t/wav.scp", "x"
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "where (frames, dimensions) is expected" in done.stderr


def test_none_keeps_rate_and_window(data: Path, run: Run, stdout_of: Stdout) -> None:
    output = ["scp:data/t/wav.scp", "ark:-"]
    for program in ("compute-fbank-feats.py", "compute-stft-feats.py"):
        stdout_of(program, "--fs", "none", "--win_length", "none", *output[:1], "ark:x")
    stdout_of("make_fbank.sh", "--fs", "none", "--fmin", "none", "data/t")
    done = run("compute-fbank-feats.py", "--fs", "16k", *output)
    assert "'16k' is neither a whole number nor none" in done.stderr


def test_trim_silence(data: Path, tmp_path: Path, stdout_of: Stdout) -> None:
    quiet = np.concatenate([np.zeros(8000), SOUNDS["u0"], np.zeros(16000)])
    (tmp_path / "u1.wav").write_bytes(encode_wav(quiet, RATE))
    stdout_of("trim_silence.sh", "--nj", 2, "--threshold", 30, "data/t", "log")
    lines = [x.split() for x in (data / "segments").read_text().splitlines()]
    assert [line[:2] for line in lines] == [[u, u] for u in SOUNDS]
    starts = {line[0]: (float(line[2]), float(line[3])) for line in lines}
    assert starts["u0"] == (0.0, len(SOUNDS["u0"]) / RATE)
    frame = 1024 / RATE
    assert abs(starts["u1"][0] - 0.5) < frame + 0.01
    assert abs(starts["u1"][1] - (0.5 + len(SOUNDS["u0"]) / RATE)) < frame + 0.01
    assert (tmp_path / "log/figs/u1.png").read_bytes()[:4] == b"\x89PNG"


def test_feats2npy(data: Path, tmp_path: Path, stdout_of: Stdout) -> None:
    sizes = ["--n_fft", 256, "--n_shift", 128]
    stdout_of("compute-stft-feats.py", *sizes, "scp:data/t/wav.scp", "ark,scp:a,b")
    stdout_of("feats2npy.py", "b", "out")
    feats = dict(kaldiio.load_scp(str(tmp_path / "b")).items())
    for key in SOUNDS:
        np.testing.assert_array_equal(
            np.load(tmp_path / f"out/{key}-feats.npy"), feats[key]
        )


def test_mono_recordings_become_channels(
    data: Path, tmp_path: Path, run: Run, stdout_of: Stdout
) -> None:
    (tmp_path / "other.scp").write_text("u0 cat u1.wav |\nu1 u2.wav\nu2 u0.wav\n")
    mixed = stdout_of("mix-mono-wav-scp.py", "data/t/wav.scp", "other.scp")
    first = mixed.splitlines()[0].removeprefix("u0 ").removesuffix("|")
    assert first.split()[0] == "merge_channels.py"  # found on PATH in recipes
    wav = tmp_path / "joined.wav"
    command = f"{Path(__file__).resolve().parents[1]}/utils/{first} > {wav}"
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    samples, rate = soundfile.read(wav, dtype="int16")
    assert rate == RATE and samples.shape == (5100, 2)
    np.testing.assert_array_equal(samples[:5000, 0], SOUNDS["u0"])
    np.testing.assert_array_equal(samples[:, 1], SOUNDS["u1"])
    (tmp_path / "other.scp").write_text("u0 u1.wav\n")
    done = run("mix-mono-wav-scp.py", "data/t/wav.scp", "other.scp")
    assert done.returncode == 1
    assert "data/t/wav.scp: utterance 'u1' is not in other.scp" in done.stderr
