"""What a user can get wrong with the commands: one clear line, a status, no remains.

Data directories and audio have their own tests (``test_utils/test_data_dirs.py``,
``test_utils/test_make_features.py``, ``test/data/test_datadir_check.py``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_corpus import IDIM, ODIM, TOKENS, train_argv, write_corpus

from espnet.bin import asr_recog, asr_train
from espnet.nets.pytorch_backend.e2e_asr import E2E

SIZES = {"etype": "blstmp", "elayers": 1, "eunits": 3, "eprojs": 3, "dunits": 3}
Call = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, a model, a snapshot and files that are none of these."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_corpus(tmp_path / "data")
    torch.manual_seed(0)
    weights = E2E.build(IDIM, ODIM, **SIZES).state_dict()
    torch.save(weights, "model.loss.best")
    tokens = ["<blank>", *TOKENS, "<eos>"]
    content = [IDIM, ODIM, {**SIZES, "char_list": tokens}]
    Path("model.json").write_text(json.dumps(content))
    whole = Path("model.loss.best").read_bytes()
    Path("snapshot.ep.1").write_bytes(whole[: len(whole) // 2])
    torch.save({"predictor.lo.weight": torch.zeros(2)}, "rnnlm.model.best")
    Path("notes.txt").write_text("hello")
    Path("train.yaml").write_text("elayrs: 3\n")
    Path("choice.yaml").write_text("opt: adamm\n")
    return tmp_path


@pytest.fixture
def fails(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run a command; it must fail with nothing but lines of its own, and keep nothing.

    Returns its status and these lines.
    """

    def call(name: str, *argv: object) -> tuple[int, list[str]]:
        before = set(work.rglob("*"))
        command = {"asr_train.py": asr_train, "asr_recog.py": asr_recog}[name].command
        monkeypatch.setattr(sys, "argv", [f"bin/{name}", *map(str, argv)])
        with pytest.raises(SystemExit) as end:
            command()
        captured = capsys.readouterr()
        assert not captured.out
        lines = [t for t in captured.err.splitlines() if " WARNING: " not in t]
        start = f"{name}: error: "
        assert all(line.startswith(start) for line in lines), captured.err
        assert set(work.rglob("*")) == before
        return int(end.value.code or 0), [line[len(start) :] for line in lines]

    return call


def trained(*more: object) -> list[str]:
    files = {name: Path("data") / f"{name}.json" for name in ("train", "valid")}
    return train_argv({**files, "dict": Path("data/units.txt")}, Path("out"), *more)


def decoded(*more: object) -> list[str]:
    return [
        *("--recog-json", "data/train.json", "--result-label", "out/data.json"),
        *("--model", "model.loss.best", "--verbose", "0", *map(str, more)),
    ]


TRAIN = {
    "unknown option": (
        ["--epoches", 3],
        2,
        "unknown option '--epoches' (did you mean 'epochs'?)",
    ),
    "unknown key": (["--config", "train.yaml"], 2, "train.yaml: unknown key 'elayrs'"),
    "choice": (
        ["--opt", "adamm"],
        2,
        "argument --opt: 'adamm' is none of adadelta, adam, adamw, noam (did you mean "
        "'adam'?), nor a package.module:Class",
    ),
    "choice in a config": (
        ["--config", "choice.yaml"],
        2,
        "choice.yaml: opt: 'adamm' is none of adadelta, adam, adamw, noam (did you me",
    ),
    "no config": (["--config", "none.yaml"], 2, "Unable to open config file: none.ya"),
    "chainer": (
        ["--backend", "chainer"],
        1,
        "backend: only the pytorch backend is built; use --backend pytorch",
    ),
    "no GPU": (["--ngpu", 1], 1, "use --ngpu 0 to train on the CPU"),
    "no data": (["--train-json", "none.json"], 1, "none.json: cannot be read: No such"),
    "no dictionary": (["--dict", "none.txt"], 1, "none.txt: dictionary cannot be read"),
    "no place": (
        ["--outdir", "notes.txt/x"],
        1,
        "notes.txt/x/model.json: cannot be wr",
    ),
}


@pytest.mark.parametrize("case", TRAIN)
def test_training(fails: Call, case: str) -> None:
    argv, status, words = TRAIN[case]
    code, lines = fails("asr_train.py", *trained(*argv))
    assert (code, len(lines)) == (status, 1)
    assert words in lines[0]


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the first utterance of a data.json."""
    content = json.loads(path.read_text())
    change(next(iter(content["utts"].values())))
    path.write_text(json.dumps(content))


def widen(entry: dict[str, Any]) -> None:
    entry["input"][0]["shape"][1] = 83


def lengthen(entry: dict[str, Any]) -> None:
    entry["output"][0].update(shape=[99, ODIM], tokenid=" ".join("1" * 99))


def test_training_on_features_of_another_size(fails: Call, work: Path) -> None:
    edit(work / "data" / "train.json", widen)
    code, lines = fails("asr_train.py", *trained())
    assert code == 1
    assert lines == [
        "data/train.json: utterance 'utt00': features have dimension 83, the model's "
        "input has 4 (from the first utterance of --valid-json); use the same features"
    ]


def test_training_with_another_dictionary(fails: Call, work: Path) -> None:
    (work / "data" / "units.txt").write_text("<unk> 1\na 2\n")
    code, lines = fails("asr_train.py", *trained())
    assert code == 1
    assert lines == [
        "data/units.txt: has 2 tokens, which makes 4 outputs, but data/valid.json was "
        "made for 6; make it again with this dictionary (stage 2)"
    ]


def test_training_on_labels_longer_than_the_input(fails: Call, work: Path) -> None:
    path = work / "data" / "valid.json"
    content = json.loads(path.read_text())
    content["utts"] = dict(list(content["utts"].items())[:1])
    path.write_text(json.dumps(content))
    edit(path, lengthen)
    code, lines = fails("asr_train.py", *trained())
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("data/valid.json: no usable utterance is left: 0 have")
    assert "1 more labels than encoder frames (1 per 1 of the input)" in lines[0]


RECOG = {
    "unknown option": (["--beam-sise", 3], 2, "(did you mean 'beam-size'?)"),
    "unknown key": (["--config", "train.yaml"], 2, "train.yaml: unknown key 'elayrs'"),
    "choice": (["--api", "v3"], 2, "invalid choice: 'v3' is none of v1, v2"),
    "chainer": (["--backend", "chainer"], 1, "--backend: only pytorch is built"),
    "no GPU": (["--ngpu", 1], 1, "use --ngpu 0 to decode on the CPU"),
    "no data": (["--recog-json", "none.json"], 1, "none.json: cannot be read: No such"),
    "no model": (["--model", "none.best"], 1, "none.best: no such model file"),
    "a folder": (["--model", "data"], 1, "data: is a folder; --model wants model.loss"),
    "not a model": (["--model", "notes.txt"], 1, "notes.txt: is not a model"),
    "truncated": (
        ["--model", "snapshot.ep.1"],
        1,
        "(was the disk full?); use another snapshot",
    ),
    "no place": (
        ["--result-label", "notes.txt/x/data.json"],
        1,
        "notes.txt/x/data.json: cannot be written: Not a directory",
    ),
}


@pytest.mark.parametrize("case", RECOG)
def test_decoding(fails: Call, case: str) -> None:
    argv, status, words = RECOG[case]
    code, lines = fails("asr_recog.py", *decoded(*argv))
    assert (code, len(lines)) == (status, 1)
    assert words in lines[0]


def test_decoding_with_a_language_model(fails: Call) -> None:
    code, lines = fails("asr_recog.py", *decoded("--model", "rnnlm.model.best"))
    assert code == 1
    assert "rnnlm.model.best: does not fit model.json: it is a" in lines[0]


def test_decoding_features_of_another_size(fails: Call, work: Path) -> None:
    edit(work / "data" / "train.json", widen)
    code, lines = fails("asr_recog.py", *decoded())
    assert (code, len(lines)) == (1, 1)
    assert "'utt00': features have dimension 83, the model was trained " in lines[0]
