"""Loading a trained recogniser: the forms it comes in, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from espnet.asr.trained import load_trained_config, load_trained_model
from espnet.nets.asr_interface import ASRInterface
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.nets.pytorch_backend.e2e_asr_conformer import E2E as Conformer
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
    torch.save(weights, tmp_path / "model.acc.best")
    torch.save(weights, tmp_path / "model.val5.avg.best")
    torch.save(weights, tmp_path / "model.last5.avg.best")
    snapshot = {"trainer": {"epoch": 3}, "model": weights, "optimizer": {"state": {}}}
    torch.save(snapshot, tmp_path / "snapshot.ep.3")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("model.loss.best", "model.acc.best"),
        *("model.val5.avg.best", "model.last5.avg.best"),
        "snapshot.ep.3",
    ],
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
    ("option", "value", "message"),
    [
        ("model_module", "espnet.nets.chainer_backend.e2e_asr:E2E", "a Chainer model"),
        ("model_module", "espnet.nets.search_options:SearchOptions", "no recogniser"),
        ("model_module", "no.such.module:E2E", "model_module: cannot import"),
        ("num_spkrs", 2, "num_spkrs 2: such a model is not built, only num_spkrs 1"),
        ("num_encs", 2, "num_encs 2: such a model is not built"),
        ("use_frontend", True, "use_frontend True: such a model is not built"),
        ("atype", "dott", r"atype: 'dott' is none of .*did you mean 'dot'\?"),
    ],
)
def test_model_that_cannot_be_built(
    folder: Path, option: str, value: Any, message: str
) -> None:
    model_json(folder, **{option: value})
    with pytest.raises(UserError, match=f"model.json: .*{message}"):
        load_trained_model(folder / "model.loss.best")


def test_a_folder_is_no_model(folder: Path) -> None:
    with pytest.raises(UserError, match="is a folder; --model wants model.loss.best"):
        load_trained_model(folder)


def test_weights_of_another_model(folder: Path) -> None:
    """The first line says the likely cause, the others name each parameter."""
    model_json(folder, [*TOKENS[:-1], "c", "<eos>"])
    with pytest.raises(DataError) as info:
        load_trained_model(folder / "model.loss.best")
    first, *rest = info.value.problems
    assert first == (
        f"{folder}/model.loss.best: does not fit {folder}/model.json: trained with a "
        "vocabulary of 5 tokens, but here it has 6 (of another dictionary?); give the "
        "right --model or --model-conf"
    )
    assert {line.split("'")[1] for line in rest} == {
        "ctc.ctc_lo.weight",
        "ctc.ctc_lo.bias",
        "dec.embed.weight",
        "dec.output.weight",
        "dec.output.bias",
    }
    model_json(folder, elayers=3)
    with pytest.raises(DataError) as info:
        load_trained_model(folder / "model.loss.best")
    assert "another number of layers" in info.value.problems[0]
    assert "'enc.enc.0.birnn1.weight_ih_l0' is missing" in info.value.problems[1]
    assert len(info.value.problems) == 1 + 2 * 10  # 10 parameters a layer


def test_unpickling_needs_trust(folder: Path) -> None:
    """Snapshots of ESPnet1 hold NumPy arrays, which a safe reader refuses."""
    path = folder / "snapshot.ep.1"
    weights = torch.load(folder / "model.loss.best", weights_only=True)
    torch.save({"trainer": {"epoch": np.array(1)}, "model": weights}, path)
    with pytest.raises(UserError, match=r"more than tensors.*--trust-checkpoint"):
        load_trained_model(path)
    model, _ = load_trained_model(path, trust=True)
    torch.testing.assert_close(dict(model.state_dict()), dict(weights))


def test_missing_and_null_options_take_their_defaults(folder: Path) -> None:
    """A model.json of an older version lacks options that came later."""
    content = model_json(folder)
    assert "mtlalpha" not in content[2] and "model_module" not in content[2]
    model, _ = load_trained_model(folder / "model.loss.best")
    model_json(folder, dtype=None, dropout_rate=None, model_module=None)
    other, _ = load_trained_model(folder / "model.loss.best")
    assert isinstance(model, E2E) and isinstance(other, E2E)
    assert model.options == other.options
    assert (other.options.dtype, other.options.dropout_rate) == ("lstm", 0.0)


RELATIVE = {
    "transformer_encoder_pos_enc_layer_type": "rel_pos",
    "transformer_encoder_selfattn_layer_type": "rel_selfattn",
}
CONFORMER = {
    "model_module": "espnet.nets.pytorch_backend.e2e_asr_conformer:E2E",
    "transformer_input_layer": "linear",
    **{"adim": 8, "aheads": 2, "elayers": 1, "eunits": 4, "dunits": 4},
    **RELATIVE,
}
LEGACY = {  # what relative attention was called, and whether that meant the old one
    "before rel_pos_type": ({}, True),
    "legacy": ({"rel_pos_type": "legacy"}, True),
    "as ESPnet1 wrote it": (
        {"rel_pos_type": "legacy", **{k: f"legacy_{v}" for k, v in RELATIVE.items()}},
        True,
    ),
    "latest": ({"rel_pos_type": "latest"}, False),
}


@pytest.mark.parametrize("case", LEGACY)
def test_relative_attention_of_every_version(tmp_path: Path, case: str) -> None:
    """Parameters are the same in both kinds, so that model.json has to tell."""
    options, is_legacy = LEGACY[case]

    def save(**more: Any) -> ASRInterface:
        torch.manual_seed(0)
        args = {**CONFORMER, **more, "char_list": TOKENS}
        (tmp_path / "model.json").write_text(json.dumps([IDIM, len(TOKENS), args]))
        model = Conformer.build(IDIM, len(TOKENS), **args)
        torch.save(model.state_dict(), tmp_path / "model.acc.best")
        return model.eval()

    x = torch.randn(9, IDIM, generator=torch.Generator().manual_seed(1))
    kinds = {kind: save(rel_pos_type=kind).encode(x) for kind in ("legacy", "latest")}
    assert not torch.allclose(kinds["legacy"], kinds["latest"], atol=1e-3)
    save(**options)
    loaded, _ = load_trained_model(tmp_path / "model.acc.best")
    expected = kinds["legacy" if is_legacy else "latest"]
    torch.testing.assert_close(loaded.encode(x), expected)


@pytest.mark.parametrize(
    "name",
    [
        *("rnn_vggblstmp_location", "rnn_bgru_multi_head_loc", "rnn_blstmp_dot"),
        *("transformer_conv2d", "transformer_linear_ctc", "conformer_latest"),
    ],
)
def test_folders_of_espnet1(golden: Path, name: str) -> None:
    folder = golden / "models" / name
    model, config = load_trained_model(folder / "model.loss.best")
    expected = np.load(folder / "expected.npz")
    key = next(key for key in expected if key.endswith("/x"))
    encoded = model.encode(expected[key])
    reference = torch.tensor(expected[key.replace("/x", "/enc")])
    torch.testing.assert_close(encoded, reference, rtol=1e-4, atol=1e-5)
    assert (config.idim, config.odim) == (20, 12)
