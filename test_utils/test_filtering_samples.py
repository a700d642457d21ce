"""filtering_samples.py, as ESPnet1's WSJ recipe calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

CONFIG = """\
etype: blstmp
elayers: 2
subsample: 1_2_2
eunits: 4
eprojs: 4
dunits: 4
adim: 4
opt: adadelta
batch-size: 2
"""
FRAMES = {"long": 30, "equal": 16, "below": 15, "hopeless": 5}  # with 3 labels each
COMMON = (
    *("--config", "train.yaml", "--preprocess-conf", "--data-json", "data.json"),
    *("--mode-subsample", "asr"),
)


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(CONFIG, encoding="utf-8")
    target = {"name": "target1", "shape": [3, 9], "tokenid": "1 2 3", "text": "Ä B"}
    utts = {
        uttid: {
            "input": [{"feat": "f.ark:3", "name": "input1", "shape": [frames, 5]}],
            "output": [target],
            "utt2spk": "s",
        }
        for uttid, frames in FRAMES.items()
    }
    content = json.dumps({"utts": utts}, ensure_ascii=False)
    (tmp_path / "data.json").write_text(content, encoding="utf-8")


def utts_of(path: Path) -> dict[str, object]:
    utts: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))["utts"]
    return utts


def test_short_utterances_are_left_out_and_named(run: Run, tmp_path: Path) -> None:
    before = utts_of(tmp_path / "data.json")
    out = ("--output-json-path", "new/train.json")
    done = run("filtering_samples.py", *COMMON, *out, "--min-io-delta", 4)
    assert done.returncode == 0, done.stderr
    kept = utts_of(tmp_path / "new" / "train.json")
    assert kept == {uttid: before[uttid] for uttid in ("long", "equal")}
    assert done.stdout == (
        "new/train.json: 2 utterances of data.json; left out: 2 "
        "(input frames - labels x 4 < 4)\n"
    )
    assert "too short, left out: below, hopeless" in done.stderr
    assert utts_of(tmp_path / "data.json") == before


def test_in_place_with_the_default(run: Run, tmp_path: Path) -> None:
    done = run("filtering_samples.py", *COMMON, "--output-json-path", "data.json")
    assert done.returncode == 0, done.stderr
    assert list(utts_of(tmp_path / "data.json")) == ["long", "equal", "below"]


def test_nothing_left_is_an_error(error_of: Callable[..., str], tmp_path: Path) -> None:
    out = ("--output-json-path", "train.json")
    error = error_of("filtering_samples.py", *COMMON, *out, "--min-io-delta", 19)
    assert error == (
        "filtering_samples.py: error: data.json: no utterance is left, all have input "
        "frames - labels x 4 < 19; give a smaller --min-io-delta, or a model that "
        "subsamples less\n"
    )
    assert not (tmp_path / "train.json").exists()


def test_a_missing_file_is_named(error_of: Callable[..., str]) -> None:
    arguments = ("--output-json-path", "x.json", "--data-json", "no.json")
    error = error_of("filtering_samples.py", *COMMON, *arguments)
    assert "error: no.json: cannot be read: No such file" in error


def test_sizes_are_those_after_preprocessing(
    run: Run, error_of: Callable[..., str], tmp_path: Path
) -> None:
    """Deltas make three times as many features."""
    (tmp_path / "p.yaml").write_text("process: [{type: delta}]\n")
    np.save(tmp_path / "f.npy", np.zeros((30, 5), np.float32))
    utts = utts_of(tmp_path / "data.json")
    for entry in utts.values():
        source = {"feat": "f.npy", "filetype": "npy", "name": "input1"}
        entry["input"] = [{**source, "shape": [30, 5]}]  # type: ignore[index]
    (tmp_path / "data.json").write_text(json.dumps({"utts": utts}))
    given = (*COMMON, "--output-json-path", "x.json", "--preprocess-conf")
    error = error_of("filtering_samples.py", *given, "p.yaml")
    assert error == (
        "filtering_samples.py: error: data.json: utterance 'long' has shape [30, 5], "
        "but preprocess-conf p.yaml makes [30, 15] of it; make the file again with "
        "data2json.sh --preprocess-conf\n"
    )
    error = error_of("filtering_samples.py", *given, "no.yaml")
    assert "error: no.yaml: " in error
    (tmp_path / "p.yaml").write_text("process: [{type: identity}]\n")
    assert run("filtering_samples.py", *given, "p.yaml").returncode == 0


@pytest.mark.parametrize("name", ["data-json", "output-json-path", "mode-subsample"])
def test_options_that_must_be_given(name: str, run: Run) -> None:
    values = {
        "--data-json": "data.json",
        "--output-json-path": "train.json",
        "--mode-subsample": "asr",
    }
    del values[f"--{name}"]
    done = run("filtering_samples.py", *(x for pair in values.items() for x in pair))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"required: --{name}" in line


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--mode-subsample", "mt", "'mt' is none of asr"),
        ("--min-io-delta", "four", "'four'"),
        ("--min-oi-delta", "4", "unknown option '--min-oi-delta' (did you mean "),
    ],
)
def test_wrong_options(option: str, value: str, message: str, run: Run) -> None:
    out = ("--output-json-path", "train.json")
    done = run("filtering_samples.py", *COMMON, *out, option, value)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("filtering_samples.py: error: ")
    assert message in line


def test_help_has_the_options_of_training_too(run: Run) -> None:
    done = run("filtering_samples.py", "--help")
    assert done.returncode == 0
    for option in ("--min-io-delta", "--mode-subsample", "--outdir", "--etype"):
        assert option in done.stdout
