"""Data that cannot be trained on: named before training, all of it."""

from __future__ import annotations

import json
import logging
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_corpus import IDIM, ODIM, TOKENS, write_corpus
from tiny_recogniser import E2E

from espnet.asr.checks import OutputLengths, checked_corpus, drop_unusable
from espnet.asr.train_options import TrainOptions
from espnet.utils.errors import DataError, UserError

Change = Callable[[dict[str, Any]], object]


def options(files: dict[str, Path], **more: Any) -> TrainOptions:
    names = {"dict": files["dict"], "train_json": files["train"]}
    names["valid_json"] = files["valid"]
    given = {name: str(path) for name, path in names.items()}
    return TrainOptions(**{"outdir": "unused", "batch_size": 2, **given, **more})


def edit(path: Path, **changes: Change) -> None:
    """Change utterances of a data.json."""
    content = json.loads(path.read_text())
    for uttid, change in changes.items():
        change(content["utts"][uttid])
    path.write_text(json.dumps(content))


def set_labels(*ids: int) -> Change:
    def change(entry: dict[str, Any]) -> None:
        entry["output"][0].update(
            tokenid=" ".join(map(str, ids)), shape=[len(ids), ODIM]
        )

    return change


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return write_corpus(tmp_path)


def test_sizes(files: dict[str, Path]) -> None:
    corpus = checked_corpus(options(files))
    assert (corpus.idim, corpus.odim) == (IDIM, ODIM)
    assert corpus.char_list == ["<blank>", *TOKENS, "<eos>"]
    assert len(corpus.train) == 10 and len(corpus.valid) == 3


def test_all_problems_at_once(files: dict[str, Path]) -> None:
    edit(
        files["train"],
        utt01=lambda e: e["input"][0].update(shape=[9, IDIM + 1]),
        utt03=lambda e: e["input"][0].update(feat="gone.ark:5"),
        utt04=lambda e: e["input"][0].update(feat="gone.ark:77"),  # the same file
        utt05=set_labels(1, ODIM - 1),
        utt06=lambda e: e["input"].append(e["input"][0]),
        utt07=lambda e: e["input"][0].update(filetype="hdf"),
    )
    edit(files["valid"], utt02=set_labels(ODIM - 1))
    with pytest.raises(DataError) as error:
        checked_corpus(options(files))
    expected = [
        ("train.json: utterance 'utt01'", "features have dimension 5", "input has 4"),
        ("train.json: utterance 'utt03'", "'gone.ark' does not exist", "stage 1"),
        (
            "train.json: utterance 'utt05'",
            f"token id {ODIM - 1} is not in the dict",
        ),
        ("train.json: utterance 'utt06'", "has 2 inputs"),
        ("train.json: utterance 'utt07'", "filetype: 'hdf' is none of mat"),
        ("valid.json: utterance 'utt02'", f"token id {ODIM - 1}"),
    ]
    assert len(error.value.problems) == len(expected)
    for problem, words in zip(error.value.problems, expected, strict=True):
        assert all(word in problem for word in words), problem


def test_another_dictionary(files: dict[str, Path]) -> None:
    files["dict"].write_text("<unk> 1\na 2\n")
    with pytest.raises(UserError) as error:
        checked_corpus(options(files))
    assert (
        f"units.txt: has 2 tokens, which makes 4 outputs, but {files['valid']} was"
        in str(error.value)
    )


@pytest.mark.parametrize("missing", ["train_json", "valid_json"])
def test_missing_files(files: dict[str, Path], missing: str) -> None:
    with pytest.raises(
        UserError, match=f"option --{missing.replace('_', '-')} is miss"
    ):
        checked_corpus(options(files, **{missing: None}))
    with pytest.raises(UserError, match="nowhere: cannot be read: No such file"):
        checked_corpus(options(files, **{missing: "nowhere"}))


def lengths(step: int, has_ctc: bool = True) -> OutputLengths:
    return OutputLengths(E2E(IDIM, ODIM, Namespace(step=step)), [IDIM], has_ctc)


def drop(files: dict[str, Path], step: int, has_ctc: bool = True) -> set[str]:
    corpus = checked_corpus(options(files))
    drop_unusable(corpus, lengths(step, has_ctc), options(files))
    return {f"utt{i:02}" for i in range(10)} - set(corpus.train)


def test_useless_utterances_are_named_and_left_out(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    edit(
        files["train"],
        utt01=set_labels(),
        utt02=set_labels(),
        utt03=set_labels(*[1, 2] * 6),
        utt04=set_labels(1, 1, 1, 1),  # three blanks between them: 7 frames
        utt05=set_labels(1, 2, 1, 2, 1, 2),
    )
    frames: Change = lambda e: e["input"][0].update(shape=[24, IDIM])  # noqa: E731
    edit(files["train"], utt03=frames, utt04=frames, utt05=frames)
    with caplog.at_level(logging.WARNING):
        dropped = drop(files, step=4)  # 24 frames become 6
    assert {"utt01", "utt02", "utt03", "utt04"} <= dropped
    assert "utt05" not in dropped
    assert "2 utterances have an empty transcript and are left out: utt01, utt02" in (
        caplog.text
    )
    assert "more labels than the encoder has frames for and are left out" in caplog.text


def test_without_ctc_any_length_will_do(files: dict[str, Path]) -> None:
    edit(files["train"], utt03=set_labels(*[1, 2] * 6))
    assert drop(files, step=4, has_ctc=False) == set()


def test_nothing_left(files: dict[str, Path]) -> None:
    edit(files["valid"], **{f"utt0{i}": set_labels() for i in range(3)})
    with pytest.raises(
        DataError, match="valid.json: no usable utterance is left: 3 have"
    ):
        drop(files, step=1)


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_the_limit_is_the_models_own(step: int) -> None:
    known = lengths(step)
    for frames in range(1, 40):
        encoded = known._ask(frames)
        assert encoded == -(-frames // step)
        for needed in range(1, 45):
            assert known.hold(frames, needed) == (needed <= encoded)
