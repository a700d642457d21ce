"""Weights of any origin: what is read, what is refused, and what does not fit."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asr_models import MODELS, build

from espnet.nets.pytorch_backend.e2e_asr import E2E as RNN
from espnet.nets.pytorch_backend.e2e_asr_conformer import E2E as Conformer
from espnet.nets.pytorch_backend.e2e_asr_transformer import E2E as Transformer
from espnet.train.weights import load_weights, read_weights
from espnet.utils.errors import DataError, UserError

WEIGHTS = OrderedDict(a=torch.ones(2), b=torch.zeros(3, 1))


def espnet1_trainer() -> dict[str, Any]:
    """The part of an ESPnet1 snapshot that its training program needs: NumPy numbers
    and strings without dimensions."""
    return {
        "updater/iterator:main/epoch": np.asarray(3),
        "updater/iteration": np.asarray(150),
        "_snapshot_elapsed_time": np.asarray(12.5),
        "extension_triggers/snapshot_object/best_value": np.float64(0.9),
        "extensions/LogReport/_log": np.asarray('[{"epoch": 1}]'),
    }


def espnet1_snapshot(weights: Any) -> dict[str, Any]:
    optimizer = {"state": {0: {"step": 150}}, "param_groups": [{"eps": 1e-8}]}
    model = OrderedDict(weights)
    return {"trainer": espnet1_trainer(), "model": model, "optimizer": optimizer}


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"model": WEIGHTS, "optimizer": {}, "trainer": {"epoch": 3}},
        {f"module.{name}": value for name, value in WEIGHTS.items()},
    ],
    ids=["state dict", "snapshot", "DataParallel"],
)
@pytest.mark.parametrize("new_format", [True, False])
def test_what_is_read(tmp_path: Path, content: Any, new_format: bool) -> None:
    path = tmp_path / "weights"
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    torch.testing.assert_close(read_weights(path), dict(WEIGHTS))


def test_a_snapshot_of_espnet1_needs_trust(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snapshot.ep.3"
    torch.save(espnet1_snapshot(WEIGHTS), path)
    with pytest.raises(UserError) as error:
        read_weights(path)
    for words in (
        f"{path}: holds more than tensors, as snapshots of ESPnet1 do",
        "reading it could run any code in it (numpy.",
        "if you trust its source, add --trust-checkpoint",
    ):
        assert words in str(error.value)
    torch.testing.assert_close(read_weights(path, trust=True), dict(WEIGHTS))
    assert "you said that it is trusted" in caplog.text


def test_code_in_a_file_is_not_run_without_trust(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"model": WEIGHTS, "trainer": Evil()}, tmp_path / "snapshot.ep.1")
    with pytest.raises(UserError, match=r"run any code in it.*--trust-checkpoint"):
        read_weights(tmp_path / "snapshot.ep.1")
    assert not (tmp_path / "owned").exists()


def test_pickled_objects_are_named(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "whole.pt")
    with pytest.raises(UserError, match=r"\(torch.nn.modules.linear.Linear\); if you"):
        read_weights(tmp_path / "whole.pt")


def cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BROKEN = {
    "no such model file; wanted are": Path.unlink,
    "is a folder; wanted are": make_folder,
    "cut short after .* bytes .*use another snapshot": cut_short,
    "cut short after 0 bytes": lambda path: path.write_bytes(b""),
    "is not a model: torch.save did not write it": lambda path: path.write_text("hi"),
    "is not a model: it holds no table": lambda path: torch.save({"a": 1}, path),
    "holds no table of named tensors": lambda path: torch.save([], path),
    "holds NumPy arrays, as models of Chainer do": (
        lambda path: np.savez(path.open("wb"), a=np.zeros(3))
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_files_that_are_no_model(tmp_path: Path, message: str) -> None:
    path = tmp_path / "model.loss.best"
    torch.save(WEIGHTS, path)
    BROKEN[message](path)
    with pytest.raises(UserError, match=message) as error:
        read_weights(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_every_difference_has_its_line() -> None:
    model = torch.nn.Sequential(*(torch.nn.Linear(2, 3) for _ in range(20)))
    weights: dict[str, torch.Tensor] = {
        name: torch.zeros(3, 4) for name in model.state_dict() if "weight" in name
    }
    weights["extra"] = torch.zeros(1)
    with pytest.raises(DataError) as error:
        load_weights(model, weights, "snapshot.ep.3")
    first, *rest = error.value.problems
    assert first.startswith("snapshot.ep.3: does not fit the model: they are of diff")
    assert first.endswith(
        "train with its model.json's options, or use another --outdir"
    )
    assert set(rest) == {
        *(f"snapshot.ep.3: parameter '{i}.bias' is missing" for i in range(20)),
        "snapshot.ep.3: parameter 'extra' is not in the model",
        *(
            f"snapshot.ep.3: parameter '{i}.weight' has shape (3, 4), the model needs"
            " (3, 2)"
            for i in range(20)
        ),
    }


RNN_SIZES = {"elayers": 2, "eunits": 3, "eprojs": 4, "dunits": 5, "adim": 3}
SIZES = {"elayers": 2, "eunits": 6, "dunits": 6, "adim": 8, "aheads": 2}
VOCABULARY = "vocabulary of 7 tokens, but here it has 9 (of another dict"
CAUSES = {
    "rnn, vocabulary": (RNN, {}, {"odim": 9}, VOCABULARY),
    "transformer, vocabulary": (Transformer, {}, {"odim": 9}, VOCABULARY),
    "rnn, features": (RNN, {}, {"idim": 9}, "features of another dimension"),
    "transformer, features": (Transformer, {}, {"idim": 16}, "features of another"),
    "rnn, sizes": (RNN, {}, {"eunits": 4}, "layers of other sizes"),
    "transformer, sizes": (Transformer, {}, {"eunits": 9}, "layers of other sizes"),
    "rnn, fewer layers": (RNN, {}, {"elayers": 3}, "number of layers (elayers, dl"),
    "blstm, fewer layers": (
        *(RNN, {"etype": "blstm"}, {"etype": "blstm", "elayers": 3}),
        "number of layers (elayers, dlayers)",
    ),
    "one direction": (RNN, {"etype": "lstm"}, {"etype": "blstm"}, "value of etype"),
    "more layers": (Transformer, {}, {"dlayers": 2}, "number of layers (elayers, dl"),
    "rnn, encoder": (RNN, {}, {"etype": "bgru"}, "another value of etype"),
    "attention": (RNN, {}, {"atype": "noatt"}, "another value of atype"),
    "ctc": (Transformer, {}, {"mtlalpha": 0.0}, "another value of mtlalpha"),
    "input": (
        *(Transformer, {}, {"transformer_input_layer": "linear"}),
        "another value of transformer-input-layer",
    ),
    "parts of the conformer": (
        *(Conformer, {"macaron_style": True}, {"use_cnn_module": True}),
        "another value of use-cnn-module and macaron-style",
    ),
    "model": (RNN, {}, {}, "they are of different models"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_likely_cause(case: str) -> None:
    kind, there, here, words = CAUSES[case]
    sizes = RNN_SIZES if kind is RNN else SIZES
    idim, odim = here.get("idim", 8), here.get("odim", 7)
    options = {k: v for k, v in {**sizes, **here}.items() if k not in ("idim", "odim")}
    model = kind.build(idim, odim, **options)
    other = Transformer.build(8, 7, **SIZES) if case == "model" else None
    weights = (other or kind.build(8, 7, **{**sizes, **there})).state_dict()
    with pytest.raises(DataError) as error:
        load_weights(model, weights, "model.loss.best")
    assert words in error.value.problems[0]


def test_language_model_in_place_of_a_recogniser() -> None:
    weights = {"predictor.embed.weight": torch.zeros(2)}
    with pytest.raises(DataError, match="it is a language model"):
        load_weights(build("rnn-blstmp-dot"), weights, "rnnlm.model.best")


OLD_NAMES = {
    "encoder.embed.": "encoder.input_layer.",
    "encoder.after_norm.": "encoder.norm.",
    "decoder.after_norm.": "decoder.output_norm.",
}


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("transf")])
def test_old_names_of_transformers(name: str) -> None:
    """Old versions had other names for parameters, and stored the positions."""
    weights = build(name).state_dict()
    old = dict(weights)
    for key in weights:
        for new, former in OLD_NAMES.items():
            if key.startswith(new):
                old[former + key[len(new) :]] = old.pop(key)
    if "conv2d" in name:
        old["encoder.input_layer.out.1.pe"] = torch.zeros(1, 9, 8)
    assert not old.keys() <= weights.keys()
    model = build(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    load_weights(model, old, "model.loss.best")
    torch.testing.assert_close(model.state_dict(), weights)
