"""Decoding with quantised models, as the options of a user say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_corpus import IDIM, write_corpus
from tiny_language import CHARS, save, write_lm

from espnet.bin.asr_recog import main
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.utils.errors import UserError

SIZES = {"elayers": 1, "eunits": 4, "eprojs": 5, "dunits": 4, "adim": 3, "dlayers": 2}
SEARCH = ("--beam-size", "3", "--ctc-weight", "0.3", "--nbest", "2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with data.json, a recogniser and a language model."""
    write_corpus(tmp_path, count=3)
    options = {**SIZES, "etype": "blstmp", "atype": "dot"}
    save(E2E.build(IDIM, len(CHARS), **options), tmp_path / "model.loss.best")
    content = [IDIM, len(CHARS), {**options, "char_list": CHARS}]
    (tmp_path / "model.json").write_text(json.dumps(content))
    write_lm(tmp_path / "lm", "default")
    return tmp_path


def decode(data: Path, *more: str) -> dict[str, Any]:
    result = data / "out" / "result.json"
    model = ("--model", str(data / "model.loss.best"))
    files = ("--recog-json", str(data / "train.json"), "--result-label", str(result))
    main([*files, *model, *SEARCH, *more])
    utts: dict[str, Any] = json.loads(result.read_text())["utts"]
    return utts


def scores(utts: dict[str, Any]) -> list[float]:
    return [utt["output"][0]["score"] for utt in utts.values()]


@pytest.mark.parametrize("dtype", ["qint8", "float16"])
def test_scores_change_a_little(
    data: Path, dtype: str, capfd: pytest.CaptureFixture[str]
) -> None:
    lm = ("--rnnlm", str(data / "lm/rnnlm.model.best"))
    exact = scores(decode(data, *lm))
    names = ("Linear", "LSTM", "LSTMCell")
    layers = ("--quantize-config", *names, "--quantize-dtype", dtype)
    for which in ("asr", "lm"):
        capfd.readouterr()
        found = decode(data, *lm, *layers, f"--quantize-{which}-model")
        assert (
            f"layers (LSTM, LSTMCell, Linear) quantised to {dtype}"
            in capfd.readouterr()[1]
        )
        assert found != decode(data, *lm)
        assert scores(found) == pytest.approx(exact, rel=0.02)


def test_false_means_false(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert decode(data, "--quantize-asr-model", "false") == decode(data)
    assert "quantised" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--quantize-config", "Conv1d"), "'Conv1d' is none of GRU, GRUCell, LSTM,"),
        (("--quantize-asr-model", "--ngpu", "1"), "run on the CPU only; use --ngpu 0"),
        (("--quantize-asr-model", "--dtype", "float64"), "needs --dtype float32, not"),
        (("--quantize-lm-model",), "there is no language model; name it with --rnnlm"),
    ],
)
def test_what_cannot_be(data: Path, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        decode(data, *options)


def test_another_number_format(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        decode(data, "--quantize-dtype", "int4")
    assert "'int4' is none of float16, qint8" in capsys.readouterr().err


def test_a_model_without_such_layers(data: Path) -> None:
    options = {**SIZES, "etype": "blstmp", "atype": "dot", "dlayers": 1, "dtype": "gru"}
    save(E2E.build(IDIM, len(CHARS), **options), data / "model.loss.best")
    content = [IDIM, len(CHARS), {**options, "char_list": CHARS}]
    (data / "model.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="LSTMCell: --model .* has no such layers"):
        decode(data, "--quantize-asr-model", "--quantize-config", "LSTMCell")
