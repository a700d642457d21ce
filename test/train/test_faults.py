"""Faults of a training, each caused once; those of several processes and SIGTERM are
in test_distributed.py and test_resume.py."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from crash_lab import CrashLab
from tiny_corpus import train_argv, write_corpus
from train_log import log_of

from espnet.asr.train import train
from espnet.asr.train_options import parse_train_options
from espnet.train.plot import Studio
from espnet.train.settings import TrainerOptions
from espnet.train.trainer import Trainer
from espnet.utils.errors import UserError

COMMON = ("--epochs", 3, "--patience", 0, "--report-interval-iters", 1)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Studio, "post", lambda *_: None)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return write_corpus(tmp_path / "corpus")


def run(files: dict[str, Path], outdir: Path, *more: object) -> Path:
    train(parse_train_options(train_argv(files, outdir, *COMMON, *more)))
    return outdir


CONFORMER = (
    *("--model-module", "espnet.nets.pytorch_backend.e2e_asr_conformer:E2E"),
    *("--elayers", 1, "--eunits", 8, "--dlayers", 1, "--dunits", 8, "--adim", 8),
    *("--aheads", 2, "--transformer-input-layer", "linear", "--use-cnn-module", "true"),
    *("--cnn-module-kernel", 3, "--dropout-rate", 0.1),
)


def test_the_largest_minibatches_come_first_and_leave_no_trace(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random numbers, statistics of batch norms and weights are what they would be."""
    plain = run(files, tmp_path / "plain", *CONFORMER, "--opt", "adam")
    seen: list[int] = []
    accumulate = Trainer._accumulate

    def noting(self: Trainer, batch: Any, is_last: bool) -> Any:
        seen.append(batch.xs.shape[0] * batch.xs.shape[1])
        return accumulate(self, batch, is_last)

    monkeypatch.setattr(Trainer, "_accumulate", noting)
    monkeypatch.setattr(
        TrainerOptions, "__init__", _rehearsing(TrainerOptions.__init__)
    )
    rehearsed = run(files, tmp_path / "rehearsed", *CONFORMER, "--opt", "adam")
    assert len(seen) > 15 and max(seen) in seen[: len(seen) - 15]
    assert log_of(plain) == log_of(rehearsed)
    ours, theirs = (
        torch.load(folder / "snapshot.ep.3", weights_only=True)["model"]
        for folder in (rehearsed, plain)
    )
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def _rehearsing(init: Any) -> Any:
    def rehearsing(self: TrainerOptions, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **{**kwargs, "rehearse": True})

    return rehearsing


def test_memory_is_exhausted_by_the_largest_minibatch(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path
) -> None:
    argv = train_argv(files, tmp_path / "out", *COMMON)
    assert lab.train(argv, tmp_path / "text", TINY_MEMORY_AT=3) == 1
    text = (tmp_path / "text").read_text()
    assert "error: GPU memory is exhausted by a minibatch of 2 utterances of" in text
    assert "lower --batch-size" in text and "--accum-grad" in text


def test_memory_of_the_cpu(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: Any) -> Any:
        return torch.empty(2**50)

    monkeypatch.setattr("tiny_recogniser.E2E.encode_batch", greedy)
    with pytest.raises(UserError) as error:
        run(files, tmp_path / "out")
    assert str(error.value).startswith("memory is exhausted by a minibatch of 2 utt")


def test_a_full_disk_leaves_the_old_snapshot(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(files, tmp_path / "plain")
    save = torch.save
    written = 0

    def until_full(content: Any, stream: Any) -> None:
        nonlocal written
        written += 1
        if written == 5:  # in the second epoch
            stream.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device", stream.name)
        save(content, stream)

    monkeypatch.setattr(torch, "save", until_full)
    out = tmp_path / "out"
    with pytest.raises(UserError, match="No space left on device"):
        run(files, out)
    assert (out / "snapshot.ep.1").exists() and not list(out.glob(".*"))
    torch.load(out / "snapshot.ep.1", weights_only=True)
    run(files, out)
    assert log_of(out) == log_of(plain)


def test_only_the_newest_snapshots_are_kept(
    files: dict[str, Path], tmp_path: Path
) -> None:
    out = run(files, tmp_path / "out", "--keep-snapshots", 2)
    kept = sorted(path.name for path in out.glob("snapshot.*"))
    assert kept == ["snapshot.ep.2", "snapshot.ep.3"]


def test_many_bad_steps_are_diagnosed(files: dict[str, Path], tmp_path: Path) -> None:
    bad = ("--nan-from", 1, "--nan-until", 10**6, "--max-nan-steps", 4)
    with pytest.raises(UserError) as error:
        run(files, tmp_path / "out", *bad)
    message = str(error.value)
    assert "4 updates in a row had a loss or gradient that is not finite" in message
    assert "utt0" in message and "--train-dtype float32" in message


def test_the_watchdog_shows_where_training_hangs(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path
) -> None:
    argv = train_argv(files, tmp_path / "out", *COMMON, "--watchdog", 0.5)
    assert lab.train(argv, tmp_path / "text", TINY_SLEEP_AT=4) == 0
    text = (tmp_path / "text").read_text()
    assert "Timeout (0:00:00.5" in text and "tiny_recogniser.py" in text
    assert "training is complete" in text
    quiet = train_argv(files, tmp_path / "quiet", *COMMON, "--watchdog", 60)
    assert lab.train(quiet, tmp_path / "text", TINY_SLEEP_AT=4) == 0
    assert "Timeout" not in (tmp_path / "text").read_text()
