"""Commands on archives: statistics, normalisation, deltas, dump, shapes, speed."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet.data.audio import encode_wav
from espnet.data.features import add_deltas

UTILS = Path(__file__).resolve().parents[1] / "utils"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
RNG = np.random.default_rng(2)
FEATS = {f"u{n}": RNG.normal(n, 2, (9 + n, 3)).astype(np.float32) for n in range(5)}
ALL = np.concatenate(list(FEATS.values()))
MEAN, STD = ALL.mean(0), ALL.std(0)


@pytest.fixture
def feats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``feats.scp`` of FEATS and its global ``cmvn.ark``, both written by kaldiio."""
    ark, scp = tmp_path / "feats.ark", tmp_path / "feats.scp"
    kaldiio.save_ark(str(ark), FEATS, scp=str(scp))
    stats = np.zeros((2, 4))
    stats[0, :3], stats[0, 3] = ALL.sum(0, dtype=float), len(ALL)
    stats[1, :3] = np.square(ALL, dtype=float).sum(0)
    kaldiio.save_mat(str(tmp_path / "cmvn.ark"), stats)
    (tmp_path / "spk2utt").write_text("a u0 u1\nb u2 u3 u4\n")
    (tmp_path / "utt2spk").write_text("u0 a\nu1 a\nu2 b\nu3 b\nu4 b\n")
    monkeypatch.chdir(tmp_path)  # the commands write relative paths
    return tmp_path


def loaded(scp: Path) -> dict[str, np.ndarray]:
    return dict(kaldiio.load_scp(str(scp)).items())


@pytest.mark.parametrize("name", ["compute-cmvn-stats", "compute-cmvn-stats.py"])
def test_global_statistics(
    feats: Path, stdout_of: Callable[..., str], name: str
) -> None:
    stdout_of(name, "scp:feats.scp", "new.ark")
    new, reference = (
        kaldiio.load_mat(str(feats / f"{x}.ark")) for x in ("new", "cmvn")
    )
    assert new.dtype == np.float64
    np.testing.assert_allclose(new, reference)


def test_speaker_statistics_normalise_each_speaker(
    feats: Path, stdout_of: Callable[..., str]
) -> None:
    table = "ark,scp:s.ark,s.scp"
    stdout_of("compute-cmvn-stats", "--spk2utt=ark:spk2utt", "scp:feats.scp", table)
    assert loaded(feats / "s.scp")["a"].dtype == np.float64
    for speakers in ("--utt2spk=ark:utt2spk", "--spk2utt=spk2utt"):
        tables = ["scp:s.scp", "scp:feats.scp", "ark,scp:n.ark,n.scp"]
        stdout_of("apply-cmvn", "--norm-vars", speakers, *tables)
        normal = loaded(feats / "n.scp")
        for group in (["u0", "u1"], ["u2", "u3", "u4"]):
            joined = np.concatenate([normal[key] for key in group])
            np.testing.assert_allclose(joined.mean(0), 0, atol=1e-5)
            np.testing.assert_allclose(joined.std(0), 1, atol=1e-5)


@pytest.mark.parametrize(
    "flag", ["--norm-vars=true", "--norm_vars true", "--norm-vars"]
)
def test_apply_cmvn_normalises_variance_on_request(
    feats: Path, stdout_of: Callable[..., str], flag: str
) -> None:
    arguments = ["cmvn.ark", "scp:feats.scp", "ark,scp:n.ark,n.scp"]
    stdout_of("apply-cmvn", *flag.split(), *arguments)
    for key, matrix in loaded(feats / "n.scp").items():
        np.testing.assert_allclose(matrix, (FEATS[key] - MEAN) / STD, atol=1e-5)
    stdout_of("apply-cmvn.py", *arguments)
    np.testing.assert_allclose(
        loaded(feats / "n.scp")["u1"], FEATS["u1"] - MEAN, atol=1e-5
    )


def test_tables_go_to_commands(
    feats: Path, stdout_of: Callable[..., str], error_of: Callable[..., str]
) -> None:
    stdout_of("copy-feats.py", "scp:feats.scp", "ark,t:| grep -v u1 > lines")
    keys = [x.split()[0] for x in (feats / "lines").read_text().splitlines()]
    assert "u0" in keys and "u1" not in keys
    refused = ["copy-feats.py", "scp:feats.scp"]
    assert "failed with status 3" in error_of(*refused, "ark:| exit 3")
    assert "s.scp: cannot be an index of '-'" in error_of(*refused, "ark,scp:-,s.scp")


def test_shapes_and_counts_on_stdout(
    feats: Path, stdout_of: Callable[..., str]
) -> None:
    shapes = "".join(f"u{n} {9 + n},3\n" for n in range(5))
    assert stdout_of("feat-to-shape.py", "scp:feats.scp") == shapes
    counts = stdout_of(
        "copy-feats.py", "--write-num-frames", "ark,t:-", "scp:feats.scp", "ark:x"
    )
    assert counts == "".join(f"u{n} {9 + n}\n" for n in range(5))
    assert not (feats / "-").exists()
    assert stdout_of("feat_to_shape.sh", "--nj", 2, "feats.scp", "-") == shapes
    os.mkfifo(feats / "pipe")
    reader = os.open(feats / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    stdout_of("feat_to_shape.sh", "--nj", 2, "feats.scp", "pipe")
    assert (feats / "pipe").is_fifo() and os.read(reader, 999) == shapes.encode()
    os.close(reader)


def test_tables_flow_through_pipes(feats: Path) -> None:
    line = (
        "apply-cmvn --norm-vars=true cmvn.ark scp:feats.scp ark:- "
        "| add-deltas ark:- ark:- "
        "| copy-feats.py --write-num-frames ark,t:frames ark:- ark,t:out.txt"
    )
    path = f"{UTILS}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=feats,
        env={**os.environ, "PATH": path},
        check=True,
    )
    for key, matrix in kaldiio.load_ark(str(feats / "out.txt")):
        reference = add_deltas((FEATS[key] - MEAN) / STD)
        np.testing.assert_allclose(matrix, reference, atol=1e-4)
    frames = "".join(f"u{n} {9 + n}\n" for n in range(5))
    assert (feats / "frames").read_text() == frames


def test_copy_feats_compresses_by_method(
    feats: Path, stdout_of: Callable[..., str]
) -> None:
    for method, mark in ((2, b"\0BCM "), (3, b"\0BCM2 "), (5, b"\0BCM3 ")):
        how = ["--compress", "true", "--compression-method", method]
        stdout_of("copy-feats.py", *how, "scp:feats.scp", "ark:c.ark")
        assert (feats / "c.ark").read_bytes()[3:].startswith(mark)
        for key, matrix in kaldiio.load_ark(str(feats / "c.ark")):
            np.testing.assert_allclose(matrix, FEATS[key], atol=0.1)


@pytest.mark.parametrize("nj", [1, 3, 9])
@pytest.mark.parametrize("do_delta", [False, True])
def test_dump_normalises_compresses_and_joins(
    feats: Path, stdout_of: Callable[..., str], nj: int, do_delta: bool
) -> None:
    options = ["--nj", nj, "--do_delta", str(do_delta).lower(), "--verbose", 1]
    stdout_of("dump.sh", *options, "feats.scp", "cmvn.ark", "exp/log", "dump/t")
    dumped = loaded(feats / "dump/t/feats.scp")
    assert list(dumped) == list(FEATS)
    for key, matrix in dumped.items():
        normal = (FEATS[key] - MEAN) / STD
        reference = add_deltas(normal) if do_delta else normal
        np.testing.assert_allclose(matrix, reference, atol=0.05)
    jobs = min(nj, 5)
    assert {p.name for p in (feats / "dump/t").iterdir()} == {
        "feats.scp",
        "filetype",
        "utt2num_frames",
        *(f"feats.{n}.{kind}" for n in range(1, jobs + 1) for kind in ("ark", "scp")),
    }
    assert (feats / "dump/t/filetype").read_text() == "mat\n"
    frames = "".join(f"u{n} {9 + n}\n" for n in range(5))
    assert (feats / "dump/t/utt2num_frames").read_text() == frames
    assert b"BCM " in (feats / "dump/t/feats.1.ark").read_bytes()[:10]
    assert {p.name for p in (feats / "exp/log").iterdir()} == {
        f"dump_feature.{n}.log" for n in range(1, jobs + 1)
    }


def test_dump_refuses_other_dimensions_and_damage(feats: Path, run: Run) -> None:
    arguments = ["feats.scp", "cmvn.ark", "exp/log", "dump/t"]
    with open(feats / "feats.scp", "a") as scp:
        scp.write("u9 none.ark:7\n")
    done = run("dump.sh", *arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "feats.scp:6: u9: none.ark: No such file" in done.stderr
    assert list((feats / "dump/t").iterdir()) == []
    kaldiio.save_mat(str(feats / "cmvn.ark"), np.ones((2, 6)))
    done = run("dump.sh", *arguments)
    words = "u0: features have 3 dimensions, the CMVN statistics have 5"
    assert done.returncode == 1 and words in done.stderr
    done = run("dump.sh", "--filetype", "npy", *arguments)
    assert "--filetype npy: is none of mat, hdf5" in done.stderr


def test_shapes_of_plain_and_compressed_archives(
    feats: Path, stdout_of: Callable[..., str]
) -> None:
    stdout_of("copy-feats.py", "--compress", "scp:feats.scp", "ark,scp:c.ark,c.scp")
    shapes = "".join(f"u{n} {9 + n},3\n" for n in range(5))
    for scp in ("feats.scp", "c.scp"):
        assert stdout_of("feat-to-shape.py", f"scp:{scp}", "-") == shapes
        stdout_of("feat_to_shape.sh", "--nj", 2, scp, "shape", "exp/log")
        assert (feats / "shape").read_text() == shapes
    assert stdout_of("feat-to-shape.py", "ark:feats.ark", "-") == shapes
    logs = sorted(p.name for p in (feats / "exp/log").iterdir())
    assert logs == ["feat_to_shape.1.log", "feat_to_shape.2.log"]


@pytest.mark.parametrize(
    "command, words",
    [
        ("compute-cmvn-stats scp:none.scp x", "none.scp: cannot be read"),
        (
            "compute-cmvn-stats feats.scp x",
            "'feats.scp' is no rspecifier: expected ark:",
        ),
        (
            "compute-cmvn-stats --spk2utt=spk2utt scp:feats.scp x",
            "a table as output: 'ark:x'",
        ),
        ("apply-cmvn feats.ark scp:feats.scp ark:x", "feats.ark: "),
        (
            "apply-cmvn --utt2spk=utt2spk cmvn.ark scp:feats.scp ark:x",
            "one matrix for all",
        ),
        ("copy-feats.py scp:feats.scp x", "'x' is no wspecifier: expected ark:FILE"),
        ("copy-feats.py --compression-method 9 scp:feats.scp ark:x", "must be 1 to 7"),
        ("add-deltas --delta-window=0 scp:feats.scp ark:x", "--delta-window above 0"),
    ],
)
def test_wrong_calls_are_explained_and_write_nothing(
    feats: Path, run: Run, command: str, words: str
) -> None:
    program, *arguments = shlex.split(command)
    done = run(program, *arguments)
    assert done.returncode == 1 and words in done.stderr
    assert done.stderr.startswith(f"{program}: error: ")
    assert not (feats / "x").exists()


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_perturb_speed_writes_wav_to_stdout(tmp_path: Path, factor: float) -> None:
    wav = encode_wav(RNG.normal(scale=500, size=8000), 8000)
    (tmp_path / "a.wav").write_bytes(wav)
    command = [str(UTILS / "perturb_speed.py"), str(factor)]
    named = subprocess.run(
        [*command, tmp_path / "a.wav"], capture_output=True, check=True
    )
    piped = subprocess.run([*command, "-"], input=wav, capture_output=True, check=True)
    assert named.stdout == piped.stdout
    samples, rate = soundfile.read(io.BytesIO(named.stdout))
    assert rate == 8000 and len(samples) == round(8000 / factor)


def test_perturb_speed_refuses_nonsense(tmp_path: Path, run: Run) -> None:
    assert (
        "the speed factor 0 must be above 0" in run("perturb_speed.py", 0, "x").stderr
    )
    done = run("perturb_speed.py", 0.9, "none.wav")
    assert done.returncode == 1 and "none.wav: No such file" in done.stderr
    assert "stdin: is empty" in run("perturb_speed.py", 0.9, "-").stderr
