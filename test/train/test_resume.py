"""A killed training goes on as if nothing had happened."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from crash_lab import CrashLab
from tiny_corpus import train_argv, write_corpus
from train_log import log_of

# 10 utterances in 5 minibatches, 4 epochs; validation has 2: 7 forward passes an epoch
VARIANTS = {
    "plain": (),
    "accumulation": ("--accum-grad", 2, "--opt", "adam"),
    "snapshots inside epochs": ("--save-interval-iters", 2, "--grad-noise", "true"),
    "sorted": ("--sortagrad", 2, "--criterion", "loss"),
}
COMMON = ("--epochs", 4, "--report-interval-iters", 3, "--patience", 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module", params=VARIANTS)
def reference(
    request: pytest.FixtureRequest,
    lab: CrashLab,
    files: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[tuple, Path]:
    """The options of a variant and the results of an uninterrupted run."""
    options = (*COMMON, *VARIANTS[request.param])
    folder = tmp_path_factory.mktemp("reference")
    argv = train_argv(files, folder / "out", *options)
    assert lab.train(argv, folder / "output") == 0, (folder / "output").read_text()
    return options, folder / "out"


def assert_same(outdir: Path, expected: Path) -> None:
    assert log_of(outdir) == log_of(expected)
    for name in ("snapshot.ep.4", "model.loss.best", "model.acc.best"):
        ours, theirs = (
            torch.load(folder / name, weights_only=True)
            for folder in (outdir, expected)
        )
        ours, theirs = (w.get("model", w) for w in (ours, theirs))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    assert not list(outdir.glob(".*")), "temporary files are left"


def finish(lab: CrashLab, argv: list[str], output: Path) -> str:
    assert lab.train(argv, output) == 0, output.read_text()
    return output.read_text()


def test_killed_anywhere_in_the_computation(
    lab: CrashLab, files: dict[str, Path], reference: tuple, tmp_path: Path
) -> None:
    options, expected = reference
    for forward in (1, 4, 6, 7, 8, 17, 23, 28):
        outdir = tmp_path / str(forward)
        argv = train_argv(files, outdir, *options)
        killed = lab.train(argv, tmp_path / "output", TINY_KILL_AT=forward)
        assert killed == -9
        finish(lab, argv, tmp_path / "output")
        assert_same(outdir, expected)


@pytest.mark.parametrize("moment", ["BEFORE", "AFTER"])
def test_killed_while_writing(
    lab: CrashLab, files: dict[str, Path], reference: tuple, tmp_path: Path, moment: str
) -> None:
    """Each file of the first two epochs is the last that appears, or does not."""
    options, expected = reference
    for rename in range(1, 12):
        outdir = tmp_path / str(rename)
        argv = train_argv(files, outdir, *options)
        env = {f"TINY_KILL_{moment}": rename}
        assert lab.train(argv, tmp_path / "output", **env) == -9
        finish(lab, argv, tmp_path / "output")
        assert_same(outdir, expected)


AUGMENTED = "process: [{type: spec_augment, max_freq_width: 3, max_time_width: 5}]\n"
PLANS = {
    "adadelta": ("--opt", "adadelta", "--criterion", "loss_eps_decay_only"),
    "adam": ("--opt", "adam", "--schedulers", "lr=noam", "--lr-noam-warmup", 9),
    "adamw": (
        *("--opt", "adamw", "--lr", 0.01, "--weight-decay", 0.1),
        *("--schedulers", "lr=warmup_cosine"),
        *("--lr-warmup-cosine-warmup", 3, "--lr-warmup-cosine-total", 19),
    ),
    "noam": ("--opt", "noam", "--sortagrad", 1),
    "a plug-in": (
        *("--opt", "torch.optim:SGD", "--lr", 0.05),
        *("--schedulers", "lr=warmup,weight_decay=cosine"),
    ),
    "augmented": ("--preprocess-conf", "AUGMENTED", "--sortagrad", 2),
    "augmented by others": (
        *("--preprocess-conf", "AUGMENTED", "--n-iter-processes", 2),
        *("--opt", "adam", "--accum-grad", 2),
    ),
    "bfloat16": ("--train-dtype", "bfloat16", "--opt", "adam"),
}


@pytest.mark.parametrize("name", PLANS)
def test_every_optimizer_and_plan(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """Killed in an epoch and at the end of one."""
    conf = tmp_path / "augment.yaml"
    conf.write_text(AUGMENTED)
    chosen = [str(conf) if value == "AUGMENTED" else value for value in PLANS[name]]
    options = (*COMMON, *chosen)
    finish(lab, train_argv(files, tmp_path / "whole", *options), tmp_path / "output")
    argv = train_argv(files, tmp_path / "out", *options)
    for forward in (10, 6):
        killed = lab.train(argv, tmp_path / "output", TINY_KILL_AT=forward)
        assert killed == -9, (tmp_path / "output").read_text()
    finish(lab, argv, tmp_path / "output")
    assert_same(tmp_path / "out", tmp_path / "whole")


def test_killed_again_and_again(
    lab: CrashLab, files: dict[str, Path], reference: tuple, tmp_path: Path
) -> None:
    options, expected = reference
    argv = train_argv(files, tmp_path / "out", *options)
    runs = 0
    while lab.train(argv, tmp_path / "output", TINY_KILL_AT=9) == -9:
        runs += 1
    assert runs >= 3
    assert_same(tmp_path / "out", expected)


def test_asked_to_end_anywhere(
    lab: CrashLab, files: dict[str, Path], reference: tuple, tmp_path: Path
) -> None:
    """SIGTERM in a step, in validation, in the last one: exit 0, nothing is lost."""
    options, expected = reference
    for forward in (1, 4, 5, 6, 7, 17, 28):
        outdir = tmp_path / str(forward)
        argv = train_argv(files, outdir, *options)
        assert lab.train(argv, tmp_path / "output", TINY_TERM_AT=forward) == 0
        text = (tmp_path / "output").read_text()
        assert ("stopped by SIGTERM" in text) == ("training is complete" not in text)
        text = finish(lab, argv, tmp_path / "output")
        assert "continuing from" in text
        assert_same(outdir, expected)


def test_a_queue_asks_all_processes_to_end(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    """Reading processes obey their parent alone, which needs them for its step."""
    argv = train_argv(files, tmp_path / "out", *COMMON, "--n-iter-processes", 2)
    assert lab.train(argv, tmp_path / "output", TINY_TERM_AT=9) == 0
    assert "stopped by SIGTERM" in (tmp_path / "output").read_text()
    finish(lab, argv, tmp_path / "output")
    assert_same(tmp_path / "out", done)


def test_reading_processes_change_nothing(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    """Not even when a run without them is continued."""
    argv = train_argv(files, tmp_path / "out", *COMMON)
    assert lab.train(argv, tmp_path / "output", TINY_KILL_AT=10) == -9
    finish(lab, [*argv, "--n-iter-processes", "2"], tmp_path / "output")
    assert_same(tmp_path / "out", done)


@pytest.fixture(scope="module")
def done(
    lab: CrashLab, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The results of a run whose best accuracy is of an early epoch."""
    folder = tmp_path_factory.mktemp("done")
    argv = train_argv(files, folder / "out", *COMMON)
    assert lab.train(argv, folder / "output") == 0
    return folder / "out"


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize(
    "damaged",
    ["snapshot.ep.4", "model.acc.best", "model.loss.best", "log", "model.json"],
)
def test_truncated_files(
    lab: CrashLab,
    files: dict[str, Path],
    done: Path,
    tmp_path: Path,
    damaged: str,
    share: float,
) -> None:
    """What a full disk or a broken copy cut off is named and made again."""
    outdir = tmp_path / "out"
    shutil.copytree(done, outdir)
    content = (outdir / damaged).read_bytes()
    (outdir / damaged).write_bytes(content[: int(len(content) * share)])
    argv = train_argv(files, outdir, *COMMON)
    output = finish(lab, argv, tmp_path / "output")
    if damaged != "log":
        assert damaged in output
    assert_same(outdir, done)
    before = "snapshot.ep.3" if damaged == "snapshot.ep.4" else "snapshot.ep.4"
    assert f"continuing from {outdir / before}" in output


def test_all_snapshots_damaged_is_a_fresh_start(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    outdir = tmp_path / "out"
    shutil.copytree(done, outdir)
    for path in outdir.glob("snapshot.*"):
        path.write_bytes(b"PK")
    output = finish(lab, train_argv(files, outdir, *COMMON), tmp_path / "output")
    assert "continuing" not in output
    assert_same(outdir, done)


def test_best_weights_that_are_nowhere_left(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    outdir = tmp_path / "out"
    shutil.copytree(done, outdir)
    trainer = torch.load(outdir / "snapshot.ep.4", weights_only=True)["trainer"]
    epoch = trainer["best"]["acc"]["epoch"]
    assert epoch < 4, "the corpus must make the accuracy fall"
    (outdir / f"snapshot.ep.{epoch}").unlink()
    (outdir / "model.acc.best").write_bytes(b"")
    output = tmp_path / "output"
    assert lab.train(train_argv(files, outdir, *COMMON), output) == 1
    assert "model.acc.best: is cut short" in output.read_text()
    assert "use another --outdir" in output.read_text()


def test_more_epochs_continue_a_finished_run(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    outdir = tmp_path / "out"
    options = ("--epochs", 2, *COMMON[2:])
    finish(lab, train_argv(files, outdir, *options), tmp_path / "output")
    assert log_of(outdir) == log_of(done)[: len(log_of(outdir))]
    finish(lab, train_argv(files, outdir, *COMMON), tmp_path / "output")
    assert_same(outdir, done)


def test_a_finished_run_only_says_so(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in done.glob("snapshot*")}
    output = finish(lab, train_argv(files, done, *COMMON), tmp_path / "output")
    assert "training is complete after 4 of 4 epochs" in output
    assert before == {p.name: p.stat().st_mtime_ns for p in done.glob("snapshot*")}


def test_resume_from_a_named_snapshot(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    """Also into another directory, and killed on the way."""
    outdir = tmp_path / "out"
    argv = train_argv(files, outdir, *COMMON, "--resume", done / "snapshot.ep.2")
    assert lab.train(argv, tmp_path / "output", TINY_KILL_AT=10) == -9
    output = finish(lab, argv, tmp_path / "output")
    assert f"continuing from {outdir / 'snapshot.ep.3'}" in output
    assert log_of(outdir) == log_of(done)


def test_going_on_from_other_data_is_killed(
    lab: CrashLab, done: Path, tmp_path: Path
) -> None:
    """Its third epoch ends at the 12th update, though it has two updates an epoch."""
    fewer = write_corpus(tmp_path / "corpus", count=4)
    outdir = tmp_path / "out"
    more = ("--resume", done / "snapshot.ep.2", "--save-interval-iters", 1)
    argv = train_argv(fewer, outdir, *COMMON, *more)
    assert lab.train(argv, tmp_path / "output", TINY_KILL_AT=7) == -9
    names = sorted(p.name for p in outdir.glob("snapshot*"))
    assert names == ["snapshot.ep.3", "snapshot.iter.11"]
    output = finish(lab, argv, tmp_path / "output")
    assert f"continuing from {outdir / 'snapshot.ep.3'}" in output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"not a snapshot", "is cut short after 14 bytes"),
        ({"model": {}}, "is no snapshot, 'optimizer' is missing"),
        ({"model": {}, "optimizer": {}, "trainer": {}}, "was not written by this"),
    ],
)
def test_resume_from_what_is_no_snapshot(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path, content: Any, words: str
) -> None:
    path = tmp_path / "snapshot.ep.9"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    argv = train_argv(files, tmp_path / "out", *COMMON, "--resume", path)
    assert lab.train(argv, tmp_path / "output") == 1
    output = (tmp_path / "output").read_text()
    assert words in output and str(path) in output and "Traceback" not in output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--units", 5), "units: 8 there, 5 now"),
        (("--eps", 1e-4), "eps: 1e-08 there, 0.0001 now"),
        (("--seed", 3), "seed: 1 there, 3 now"),
    ],
)
def test_other_options_need_another_outdir(
    lab: CrashLab,
    files: dict[str, Path],
    done: Path,
    tmp_path: Path,
    options: tuple,
    words: str,
) -> None:
    argv = train_argv(files, done, *COMMON, *options)
    assert lab.train(argv, tmp_path / "output") == 1
    output = (tmp_path / "output").read_text()
    assert words in output and "use another --outdir" in output


def test_other_data_need_another_outdir(
    lab: CrashLab, done: Path, tmp_path: Path
) -> None:
    files = write_corpus(tmp_path / "corpus", seed=1)
    assert lab.train(train_argv(files, done, *COMMON), tmp_path / "output") == 1
    output = (tmp_path / "output").read_text()
    assert "belongs to other training or validation data" in output


def test_old_snapshots_go(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path
) -> None:
    argv = train_argv(files, tmp_path / "out", *COMMON, "--keep-snapshots", 2)
    finish(lab, argv, tmp_path / "output")
    names = sorted(p.name for p in (tmp_path / "out").glob("snapshot*"))
    assert names == ["snapshot.ep.3", "snapshot.ep.4"]


def test_a_run_that_drops_snapshots_inside_epochs_goes_on(
    lab: CrashLab, files: dict[str, Path], done: Path, tmp_path: Path
) -> None:
    """Killed in the fourth update of the third epoch; the newest file is damaged."""
    outdir = tmp_path / "out"
    more = ("--save-interval-iters", 1, "--keep-snapshots", 2)
    argv = train_argv(files, outdir, *COMMON, *more)
    assert lab.train(argv, tmp_path / "output", TINY_KILL_AT=40) == -9
    names = sorted(p.name for p in outdir.glob("snapshot*"))
    assert names == [f"snapshot.{n}" for n in ("ep.1", "ep.2", "iter.12", "iter.13")]
    (outdir / "snapshot.iter.13").write_bytes(b"PK")
    output = finish(lab, argv, tmp_path / "output")
    assert f"continuing from {outdir / 'snapshot.iter.12'}" in output
    names = sorted(p.name for p in outdir.glob("snapshot*"))
    assert names == [f"snapshot.{n}" for n in ("ep.3", "ep.4", "iter.18", "iter.19")]
    ours, theirs = (
        torch.load(folder / "snapshot.ep.4", weights_only=True)["model"]
        for folder in (outdir, done)
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_old_snapshots_of_a_run_that_kept_all_go_too(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path
) -> None:
    fewer = ("--epochs", 3, *COMMON[2:])
    finish(lab, train_argv(files, tmp_path / "out", *fewer), tmp_path / "output")
    argv = train_argv(files, tmp_path / "out", *COMMON, "--keep-snapshots", 2)
    finish(lab, argv, tmp_path / "output")
    names = sorted(p.name for p in (tmp_path / "out").glob("snapshot*"))
    assert names == ["snapshot.ep.3", "snapshot.ep.4"]
