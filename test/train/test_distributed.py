"""Several processes train as one alone does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from crash_lab import CrashLab
from tiny_corpus import train_argv, write_corpus
from train_log import log_of

LIBRARY = "espnet.nets.pytorch_backend"
SMALL = ("--elayers", 1, "--dropout-rate", 0, "--mtlalpha", 0.3)
RNN = (*SMALL, "--eunits", 8, "--eprojs", 8, "--dunits", 8, "--adim", 8)
RNN = (*RNN, "--etype", "blstmp", "--atype", "location", "--aconv-chans", 2)
BLOCKS = (*SMALL, "--eunits", 16, "--dlayers", 1, "--dunits", 16, "--adim", 8)
BLOCKS = (*BLOCKS, "--aheads", 2, "--transformer-attn-dropout-rate", 0)
BLOCKS = (*BLOCKS, "--transformer-input-layer", "linear")
JOINT = ("--etype", "blstmp", "--elayers", 1, "--eunits", 8, "--eprojs", 8)
JOINT = (*JOINT, "--dtype", "lstm", "--dlayers", 1, "--dunits", 8, "--joint-dim", 8)
JOINT = (*JOINT, "--dec-embed-dim", 8, "--dropout-rate", 0, "--dropout-rate-decoder", 0)
MODELS = {
    "rnn": ("e2e_asr", *RNN, "--lsm-type", "unigram", "--lsm-weight", 0.1),
    "ctc": ("e2e_asr", *RNN, "--mtlalpha", 1),
    "transformer": ("e2e_asr_transformer", *BLOCKS),
    "conformer": (
        *("e2e_asr_conformer", *BLOCKS, "--train-dtype", "float64"),
        *("--macaron-style", "true", "--use-cnn-module", "true"),
        *("--cnn-module-kernel", 3, "--transformer-encoder-pos-enc-layer-type"),
        *("rel_pos", "--transformer-encoder-selfattn-layer-type", "rel_selfattn"),
    ),
    "transducer": (
        *("e2e_asr_transducer", *JOINT),
        *("--use-ctc-loss", "true", "--use-lm-loss", "true"),
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """9 utterances: the last of 3 minibatches leaves nothing for a second process."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), 9)


def largest_difference(ours: Path, theirs: Path, rows: int = 21) -> float:
    """Of any value of the log, relative where it is above 1."""
    both = list(zip(log_of(ours), log_of(theirs), strict=True))
    assert len(both) == rows and all(a.keys() == b.keys() for a, b in both)
    pairs = [(a[key], b[key]) for a, b in both for key in a]
    return max(abs(x - y) / max(1.0, abs(y)) for x, y in pairs)


@pytest.mark.parametrize("model", MODELS)
def test_the_curve_of_two_is_that_of_one(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path, model: str
) -> None:
    """Loss, accuracy and error rates of 21 updates.

    Before a batch norm, biases have no gradient but rounding errors. Adam makes steps
    of them that move the statistics which validation uses; Conformer takes float64.
    """
    module, *sizes = MODELS[model]
    common = ("--model-module", f"{LIBRARY}.{module}:E2E", *sizes, "--opt", "adam")
    common = (*common, "--epochs", 7, "--report-interval-iters", 1, "--patience", 0)
    train_both(lab, files, tmp_path, *common)
    assert largest_difference(tmp_path / "two", tmp_path / "one") < 1e-5


def train_both(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path, *options: object
) -> None:
    """Train in ``one`` and in ``two`` processes with the same minibatches."""
    one = train_argv(files, tmp_path / "one", *options, "--batch-size", 4)
    assert lab.train(one, tmp_path / "text") == 0, (tmp_path / "text").read_text()
    two = train_argv(files, tmp_path / "two", *options, "--batch-size", 2)
    ends = lab.train_together(2, two, tmp_path / "text")
    assert ends == [0, 0], (tmp_path / "text").read_text()


def test_sums_of_gradients_noise_and_order(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path
) -> None:
    more = ("--accum-grad", 2, "--grad-noise", "true", "--sortagrad", 1)
    module, *sizes = MODELS["transformer"]
    common = ("--model-module", f"{LIBRARY}.{module}:E2E", *sizes, "--opt", "adam")
    common = (*common, "--epochs", 3, "--report-interval-iters", 1, *more)
    train_both(lab, files, tmp_path, *common)
    assert largest_difference(tmp_path / "two", tmp_path / "one", rows=6) < 1e-5


LANGUAGE_MODELS = {
    "default": ("--step-weight", "share"),
    "seq_rnn": (),
    "transformer": ("--att-unit", 8, "--embed-unit", 8, "--head", 2),
}


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_language_models(lab: CrashLab, tmp_path: Path, model: str) -> None:
    """Loss and perplexity, also of the text that only the first process reads."""
    lines = [" ".join("abba"[: 1 + n % 4]) for n in range(9)]
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "units.txt").write_text("<unk> 1\na 2\nb 3\n")
    texts = [
        f"--{kind}-label={tmp_path / 'text'}" for kind in ("train", "valid", "test")
    ]
    common = ["--dict", str(tmp_path / "units.txt"), *texts, "--model-module", model]
    common += map(str, ("--ngpu", 0, "--layer", 1, "--unit", 8, "--dropout-rate", 0))
    common += map(str, ("--epoch", 7, "--report-interval-iters", 1, "--patience", 0))
    common += ["--opt", "adam", "--lr", "0.01", *map(str, LANGUAGE_MODELS[model])]
    said = []
    for size, name in ((1, "one"), (2, "two")):
        argv = [
            *common,
            "--outdir",
            str(tmp_path / name),
            "--batchsize",
            str(4 // size),
        ]
        ends = lab.train_together(size, argv, tmp_path / "said", "lm_train")
        said.append((tmp_path / "said").read_text())
        assert ends == [0] * size, said[-1]
    assert largest_difference(tmp_path / "two", tmp_path / "one") < 1e-5
    one, two = (text.splitlines()[-1].replace("/two/", "/one/") for text in said)
    assert one == two and "test perplexity" in one


TINY = ("--epochs", 3, "--report-interval-iters", 1, "--patience", 0)


def text_of(folder: Path, outdir: Path) -> str:
    """What both processes said."""
    other = outdir / "train.rank1.log"
    return (folder / "text").read_text() + (other.read_text() if other.exists() else "")


def same_weights(ours: Path, theirs: Path) -> bool:
    a, b = (torch.load(p / "snapshot.ep.3", weights_only=True) for p in (ours, theirs))
    return all(torch.equal(a["model"][name], b["model"][name]) for name in b["model"])


@pytest.fixture(scope="module")
def undisturbed(
    lab: CrashLab, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The results of two processes, each with its own dropout."""
    folder = tmp_path_factory.mktemp("undisturbed")
    argv = train_argv(files, folder / "out", *TINY)
    assert lab.train_together(2, argv, folder / "text") == [0, 0]
    assert "processes: 2" in (folder / "text").read_text()
    return folder / "out"


def test_the_others_of_a_killed_process_end_and_name_it(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path, undisturbed: Path
) -> None:
    argv = train_argv(files, tmp_path / "out", *TINY)
    begin = time.monotonic()
    ends = lab.train_together(2, argv, tmp_path / "text", TINY_KILL_AT_OF_1=7)
    assert ends == [1, -9] and time.monotonic() - begin < 60
    assert "error: rank 1: the process was killed" in (tmp_path / "text").read_text()
    assert lab.train_together(2, argv, tmp_path / "text") == [0, 0]
    assert "continuing from" in (tmp_path / "text").read_text()
    assert log_of(tmp_path / "out") == log_of(undisturbed)
    assert same_weights(tmp_path / "out", undisturbed)


def test_all_that_has_a_state_goes_on(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path
) -> None:
    """Optimizer, plan, order, augmentation, reading processes, sums of gradients."""
    conf = tmp_path / "augment.yaml"
    conf.write_text("process: [{type: spec_augment, max_freq_width: 3}]\n")
    options = (
        *(*TINY, "--preprocess-conf", conf, "--n-iter-processes", 1),
        *("--opt", "adamw", "--lr", 0.01, "--schedulers", "lr=warmup_cosine"),
        *("--lr-warmup-cosine-warmup", 2, "--lr-warmup-cosine-total", 9),
        *("--sortagrad", 1, "--accum-grad", 2),
    )
    whole = train_argv(files, tmp_path / "whole", *options)
    assert lab.train_together(2, whole, tmp_path / "text") == [0, 0]
    argv = train_argv(files, tmp_path / "out", *options)
    ends = lab.train_together(2, argv, tmp_path / "text", TINY_KILL_AT_OF_1=7)
    assert ends == [1, -9]
    assert lab.train_together(2, argv, tmp_path / "text") == [0, 0]
    assert "continuing from" in (tmp_path / "text").read_text()
    assert log_of(tmp_path / "out") == log_of(tmp_path / "whole")
    assert same_weights(tmp_path / "out", tmp_path / "whole")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_request_to_end_at_any_process_is_for_all(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path, undisturbed: Path, rank: int
) -> None:
    argv = train_argv(files, tmp_path / "out", *TINY)
    asked = {f"TINY_TERM_AT_OF_{rank}": 7}
    assert lab.train_together(2, argv, tmp_path / "text", **asked) == [0, 0]
    text = (tmp_path / "text").read_text()
    assert "stopped by SIGTERM after" in text and "snapshot.iter." in text
    assert lab.train_together(2, argv, tmp_path / "text") == [0, 0]
    assert log_of(tmp_path / "out") == log_of(undisturbed)
    assert same_weights(tmp_path / "out", undisturbed)


def test_all_leave_a_bad_step_out(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path
) -> None:
    argv = train_argv(files, tmp_path / "out", *TINY)
    ends = lab.train_together(2, argv, tmp_path / "text", TINY_NAN_AT_OF_1=2)
    assert ends == [0, 0]
    first, both = (tmp_path / "text").read_text(), text_of(tmp_path, tmp_path / "out")
    assert both.count("update left out (1 so far); utterances: ") == 2
    assert "1 update left out as not finite" in first
    assert log_of(tmp_path / "out")[-1]["iteration"] == 9


@pytest.mark.parametrize(
    ("mischief", "words"),
    [
        ("TINY_MEMORY_AT", "rank 1: GPU memory is exhausted by a minibatch of"),
        ("TINY_FAIL_AT", "rank 1: ZeroDivisionError: a mistake in a plug-in"),
    ],
)
def test_an_error_of_one_is_told_by_the_first(
    lab: CrashLab, files: dict[str, Path], tmp_path: Path, mischief: str, words: str
) -> None:
    argv = train_argv(files, tmp_path / "out", *TINY)
    ends = lab.train_together(2, argv, tmp_path / "text", **{f"{mischief}_OF_1": 4})
    assert ends == [1, 1]
    assert words in (tmp_path / "text").read_text()
