"""Loading a trained recogniser: the forms it comes in, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from espnet.asr.load import load_trained_config, load_trained_model, read_weights
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.utils.errors import DataError, UserError

IDIM, TOKENS = 4, ["<blank>", "<unk>", "a", "b", "<eos>"]
OPTIONS = {
    "etype": "blstmp",
    "elayers": 1,
    "eunits": 3,
    "eprojs": 4,
    "dunits": 5,
    "atype": "dot",
    "adim": 3,
}


def model_json(folder: Path, tokens: list[str] = TOKENS, **more: Any) -> list[Any]:
    args = {**OPTIONS, "char_list": tokens, **more}
    content = [IDIM, len(tokens), args]
    (folder / "model.json").write_text(json.dumps(content))
    return content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What training leaves: model.json, weights, a snapshot."""
    torch.manual_seed(0)
    weights = E2E.build(IDIM, len(TOKENS), **OPTIONS).state_dict()
    model_json(tmp_path)
    torch.save(weights, tmp_path / "model.loss.best")
    torch.save(weights, tmp_path / "model.last5.avg.best")
    snapshot = {"trainer": {"epoch": 3}, "model": weights, "optimizer": {"state": {}}}
    torch.save(snapshot, tmp_path / "snapshot.ep.3")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["model.loss.best", "model.last5.avg.best", "snapshot.ep.3"]
)
def test_every_form_of_a_model(folder: Path, name: str) -> None:
    model, config = load_trained_model(folder / name)
    assert (config.idim, config.odim, config.char_list) == (IDIM, 5, TOKENS)
    assert not model.training
    weights = torch.load(folder / "model.loss.best", weights_only=True)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, weights[key])


def test_model_conf_of_another_place(folder: Path, tmp_path: Path) -> None:
    (folder / "model.json").rename(folder / "other.json")
    model, _ = load_trained_model(folder / "model.loss.best", folder / "other.json")
    assert isinstance(model, E2E)
    with pytest.raises(UserError, match=r"model.json: cannot be read.*--model-conf"):
        load_trained_model(folder / "model.loss.best")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "model.json: not valid JSON"),
        ('{"n_vocab": 9, "layer": 1}', "belongs to a language model"),
        ("[[4, 4], 5, {}]", "several encoders"),
        ("[4, 5]", r"must be \[idim, odim, \{options\}\]"),
        ("[4, 5, {}]", "no tokens in char_list, but 5 outputs"),
        ('[4, 5, {"char_list": ["a"]}]', "1 tokens in char_list, but 5 outputs"),
    ],
)
def test_bad_model_json(folder: Path, content: str, message: str) -> None:
    (folder / "model.json").write_text(content)
    with pytest.raises(UserError, match=message):
        load_trained_config(folder / "model.json")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("espnet.nets.chainer_backend.e2e_asr:E2E", "is a Chainer model"),
        ("espnet.nets.search_options:SearchOptions", "is not a recogniser"),
        ("no.such.module:E2E", "model.json: model_module: cannot import"),
    ],
)
def test_model_module_that_is_no_recogniser(
    folder: Path, module: str, message: str
) -> None:
    model_json(folder, model_module=module)
    with pytest.raises(UserError, match=message):
        load_trained_model(folder / "model.loss.best")


def cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


BROKEN = {
    "no such model file": lambda path: path.unlink(),
    "cut short after .* bytes .*use another snapshot": cut_short,
    "cut short after 0 bytes": lambda path: path.write_bytes(b""),
    "is not a model: torch.save did not write it": lambda path: path.write_text("hi"),
    "is not a model: it holds no table": lambda path: torch.save({"a": 1}, path),
    "holds no table of named tensors": lambda path: torch.save([], path),
    "cannot be read": lambda path: np.savez(path.open("wb"), a=np.zeros(3)),
}


@pytest.mark.parametrize("message", BROKEN)
def test_files_that_are_no_model(folder: Path, message: str) -> None:
    path = folder / "model.loss.best"
    BROKEN[message](path)
    with pytest.raises(
        UserError, match=f"model.loss.best: {message}|{message}"
    ) as info:
        load_trained_model(path)
    assert str(path) in str(info.value) and "\n" not in str(info.value)


def test_another_vocabulary(folder: Path) -> None:
    """Every parameter that differs has its line; the first says the likely cause."""
    model_json(folder, [*TOKENS[:-1], "c", "<eos>"])
    with pytest.raises(DataError) as info:
        load_trained_model(folder / "model.loss.best")
    first, *rest = info.value.problems
    assert "vocabulary of 5 tokens, but model.json has 6" in first
    assert "different dictionaries" in first
    assert {line.split("'")[1] for line in rest} == {
        "ctc.ctc_lo.weight",
        "ctc.ctc_lo.bias",
        "dec.embed.weight",
        "dec.output.weight",
        "dec.output.bias",
    }


def test_another_architecture(folder: Path) -> None:
    model_json(folder, elayers=3)
    with pytest.raises(DataError) as info:
        load_trained_model(folder / "model.loss.best")
    assert "different models; give the right --model-conf" in info.value.problems[0]
    assert "'enc.enc.0.birnn1.weight_ih_l0' is missing" in info.value.problems[1]
    assert len(info.value.problems) == 1 + 10 + 1  # 10 parameters a layer
    assert info.value.problems[-1].endswith("and 10 more parameters")
    model_json(folder, eunits=7)
    with pytest.raises(DataError, match="layers or features of other sizes"):
        load_trained_model(folder / "model.loss.best")


def test_language_model_in_place_of_a_recogniser(folder: Path) -> None:
    torch.save({"predictor.embed.weight": torch.zeros(2)}, folder / "model.loss.best")
    with pytest.raises(DataError, match="it is a language model"):
        load_trained_model(folder / "model.loss.best")


def test_missing_options_take_their_defaults(folder: Path) -> None:
    """A model.json of an older version lacks options that came later."""
    content = model_json(folder)
    assert "mtlalpha" not in content[2] and "model_module" not in content[2]
    model, _ = load_trained_model(folder / "model.loss.best")
    assert isinstance(model, E2E)


def test_unpickling_needs_trust(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Snapshots of ESPnet1 hold NumPy arrays, which a safe reader refuses."""
    path = folder / "snapshot.ep.1"
    weights = torch.load(folder / "model.loss.best", weights_only=True)
    torch.save({"trainer": {"epoch": np.array(1)}, "model": weights}, path)
    with pytest.raises(UserError, match=r"more than tensors.*--trust-checkpoint"):
        read_weights(path)
    assert read_weights(path, trust=True).keys() == weights.keys()
    assert "you said that it is trusted" in caplog.text
