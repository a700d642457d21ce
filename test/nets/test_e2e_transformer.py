"""The Transformer and Conformer recognisers: losses, reports, names of parameters."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from asr_models import CHAR_LIST, IDIM, ODIM, batch, build
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from espnet.nets.pytorch_backend.ctc import ctc_loss
from espnet.nets.pytorch_backend.e2e_asr_conformer import E2E as Conformer
from espnet.nets.pytorch_backend.nets_utils import decoder_labels
from espnet.nets.pytorch_backend.transformer.label_smoothing import (
    smoothed_divergence,
)
from espnet.utils.errors import UserError

BASE = "transformer-conv2d"
BOTH = ("transformer-conv2d", "conformer-latest")


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("alpha", "keys", "in_validation"),
    [
        (0.0, {"loss", "loss_att", "acc"}, {"cer", "wer"}),
        (0.3, {"loss", "loss_att", "acc", "loss_ctc"}, {"cer", "wer", "cer_ctc"}),
        (1.0, {"loss", "loss_ctc"}, {"cer_ctc"}),
    ],
)
def test_what_is_built_and_reported(
    name: str, alpha: float, keys: set[str], in_validation: set[str]
) -> None:
    model = build(name, mtlalpha=alpha, report_cer=True, report_wer=True)
    model(*batch())
    assert set(model.reported) == keys
    model.eval()
    model(*batch())
    assert set(model.reported) == keys | in_validation
    weights = {"ctc": alpha, "decoder": 1 - alpha}
    scorers = {part for part, weight in weights.items() if weight > 0}
    assert set(model.scorers()) == scorers
    parts = {key.split(".")[0] for key in model.state_dict()}
    assert parts == scorers | {"encoder"}
    assert (model.calculate_all_ctc_probs(*batch()) is None) == (alpha == 0.0)


def test_error_rates_need_to_be_asked_for() -> None:
    model = build(BASE).eval()
    model(*batch())
    assert set(model.reported) == {"loss", "loss_ctc", "loss_att", "acc"}


@pytest.mark.parametrize("normalised", [False, True])
def test_attention_loss(normalised: bool) -> None:
    model = build(BASE, transformer_length_normalized_loss=normalised).eval()
    xs, ilens, ys = batch()
    model(xs, ilens, ys)
    ys_in, ys_out = decoder_labels(ys, ODIM - 1)
    logits = model.decoder(*model.encode_batch(xs, ilens), ys_in)
    total = smoothed_divergence(logits, ys_out, 0.1)
    count = 5 + 4 + 3 if normalised else 3
    torch.testing.assert_close(model.reported["loss_att"], (total / count).detach())


def text(ids: list[int]) -> str:
    return "".join(CHAR_LIST[i] for i in ids).replace("<blank>", "")


def test_error_rates() -> None:
    """cer and wer: the likeliest label after the right ones, the end left out."""
    model = build(BASE, report_cer=True, report_wer=True).eval()
    xs, ilens, ys = batch()
    model(xs, ilens, ys)
    hs, hlens = model.encode_batch(xs, ilens)
    ys_in, _ = decoder_labels(ys, ODIM - 1)
    best = model.decoder(hs, hlens, ys_in).argmax(-1)
    path = model.ctc.argmax(hs)
    edits = {"cer": 0, "wer": 0, "cer_ctc": 0}
    total = {"cer": 0, "wer": 0, "cer_ctc": 0}
    for b, length in enumerate([4, 3, 2]):
        said = text(ys[b, :length].tolist())
        heard = text(best[b, :length].tolist())
        ids = [int(i) for i in path[b, : hlens[b]]]
        kept = [i for n, i in enumerate(ids) if n == 0 or i != ids[n - 1]]
        for key, a, b_ in (
            ("cer", heard.replace("<space>", ""), said.replace("<space>", "")),
            ("wer", heard.split("<space>"), said.split("<space>")),
            ("cer_ctc", text(kept).replace("<space>", ""), said.replace("<space>", "")),
        ):
            edits[key] += Levenshtein.distance([w for w in a if w], b_)
            total[key] += len(b_)
    expected = {key: edits[key] / total[key] for key in edits}
    assert {key: model.reported[key] for key in edits} == pytest.approx(expected)


def intermediate_loss(model: torch.nn.Module, parts: tuple[Tensor, ...]) -> Tensor:
    """The mean CTC loss of the normalised blocks 1 and 2, by hooks."""
    seen: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out: seen.append(out))
        for layer in model.encoder.encoders[:2]
    ]
    hlens = model.encode_batch(*parts[:2])[1]
    for hook in hooks:
        hook.remove()
    losses = [
        ctc_loss(model.ctc.ctc_lo(model.encoder.after_norm(xs)), hlens, parts[2])
        for xs in seen
    ]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("name", BOTH)
def test_intermediate_ctc(name: str, alpha: float, conditioned: bool) -> None:
    model = build(
        name,
        mtlalpha=alpha,
        elayers=3,
        intermediate_ctc_layer="1,2",
        intermediate_ctc_weight=0.25,
        self_conditioning=conditioned,
    ).eval()
    loss = model(*batch())
    between = intermediate_loss(model, batch())
    reported = model.reported
    if alpha == 1.0:
        expected = 0.75 * reported["loss_ctc"] + 0.25 * between
    else:
        expected = (
            0.3 * reported["loss_ctc"] + 0.45 * reported["loss_att"] + 0.25 * between
        )
    torch.testing.assert_close(loss, expected)
    assert ("encoder.conditioning_layer.weight" in model.state_dict()) == conditioned


def test_self_conditioning_adds_projected_posteriors() -> None:
    plain = build(BASE, intermediate_ctc_layer="1").eval()
    model = build(BASE, intermediate_ctc_layer="1", self_conditioning=True).eval()
    missing = model.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert set(missing) == {
        f"encoder.conditioning_layer.{part}" for part in ("weight", "bias")
    }
    xs, ilens, _ = batch()
    seen: list[Tensor] = []
    layers = model.encoder.encoders
    layers[0].register_forward_hook(lambda _m, _i, out: seen.append(out))
    layers[1].register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    with torch.no_grad():
        model.encode_batch(xs, ilens)
        posteriors = model.ctc.ctc_lo(model.encoder.after_norm(seen[0])).softmax(-1)
        expected = seen[0] + model.encoder.conditioning_layer(posteriors)
    torch.testing.assert_close(seen[1], expected)


def test_a_copy_is_conditioned_by_its_own_ctc() -> None:
    model = build("transformer-intermediate").eval()
    twin = copy.deepcopy(model)
    torch.nn.init.zeros_(model.ctc.ctc_lo.weight)
    torch.testing.assert_close(
        twin(*batch()), build("transformer-intermediate").eval()(*batch())
    )


def test_names_of_recorded_attention() -> None:
    model = build(
        "conformer-latest", transformer_decoder_selfattn_layer_type="dynamicconv2d"
    )
    weights = model.calculate_all_attentions(*batch())
    decoders = {
        f"decoder.decoders.{i}.{part}"
        for i in (0, 1)
        for part in ("self_attn_time", "self_attn_freq", "src_attn")
    }
    encoders = {f"encoder.encoders.{i}.self_attn" for i in (0, 1)}
    assert set(weights) == decoders | encoders


D = 8
LIGHT = {
    "weight": (2, 1, 3),
    "bias": (D,),
    "linear1.weight": (2 * D, D),
    "linear1.bias": (2 * D,),
    "linear2.weight": (D, D),
    "linear2.bias": (D,),
}
DYNAMIC = {
    **{key: shape for key, shape in LIGHT.items() if key != "weight"},
    "linear_weight.weight": (2 * 3, D),
    "linear_weight.bias": (2 * 3,),
}
MIXERS = {
    "lightconv": LIGHT,
    "lightconv2d": {**LIGHT, "weight_f": (1, 1, 3), "linear2.weight": (D, 2 * D)},
    "dynamicconv": DYNAMIC,
    "dynamicconv2d": {
        **DYNAMIC,
        "linear2.weight": (D, 2 * D),
        "linear_weight_f.weight": (3, D),
        "linear_weight_f.bias": (3,),
    },
}


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("mixer", MIXERS)
def test_names_of_convolutions(mixer: str, part: str) -> None:
    options = {
        f"transformer_{part}_selfattn_layer_type": mixer,
        f"ldconv_{part}_kernel_length": "3_3",
        "ldconv_usebias": True,
    }
    prefix = f"{part}.{part}s.0.self_attn."
    found = {
        key[len(prefix) :]: tuple(value.shape)
        for key, value in build(BASE, **options).state_dict().items()
        if key.startswith(prefix)
    }
    assert found == MIXERS[mixer]


@pytest.mark.parametrize(
    ("name", "options", "keys"),
    [
        (BASE, {}, "conv.0.weight conv.0.bias conv.2.weight conv.2.bias"),
        (BASE, {"transformer_input_layer": "vgg2l"}, "output.weight output.bias"),
        ("conformer-legacy-triu", {}, "output.0.weight output.0.bias"),
        (BASE, {"transformer_input_layer": "embed"}, "0.weight"),
        ("transformer-linear-scaled-lightconv", {}, "1.weight 1.bias 4.alpha"),
        (
            "conformer-linear",
            {"transformer_encoder_pos_enc_layer_type": "scaled_abs_pos"},
            "1.weight 1.bias 3.alpha",
        ),
        (
            "conformer-latest",
            {
                "transformer_encoder_pos_enc_layer_type": "scaled_abs_pos",
                "transformer_encoder_selfattn_layer_type": "selfattn",
            },
            "out.0.weight out.0.bias out.1.alpha",
        ),
    ],
)
def test_names_of_input_layers(name: str, options: dict, keys: str) -> None:
    state = build(name, **options).state_dict()
    assert {f"encoder.embed.{key}" for key in keys.split()} <= set(state)
    assert any(".alpha" in key for key in state) == ("alpha" in keys)
    assert not any(key.endswith(".pe") for key in state)


def test_old_names_of_parameters_are_read() -> None:
    model = build(BASE)
    new = model.state_dict()
    old = {
        key.replace("encoder.embed.", "encoder.input_layer.")
        .replace("encoder.after_norm.", "encoder.norm.")
        .replace("decoder.after_norm.", "decoder.output_norm."): value
        for key, value in new.items()
    }
    assert set(old) - set(new) and "encoder.norm.weight" in old
    old["encoder.input_layer.out.1.pe"] = torch.zeros(1, 5000, 8)
    old["decoder.embed.1.pe"] = torch.zeros(1, 5000, 8)
    other = build(BASE)
    torch.nn.init.zeros_(other.encoder.after_norm.weight)
    other.load_state_dict(old, strict=True)
    assert "encoder.norm.weight" in old
    torch.testing.assert_close(dict(other.state_dict()), dict(new))


@pytest.mark.parametrize(
    "stored",
    [
        {"rel_pos_type": "legacy"},
        {
            "rel_pos_type": "legacy",
            "transformer_encoder_pos_enc_layer_type": "legacy_rel_pos",
            "transformer_encoder_selfattn_layer_type": "legacy_rel_selfattn",
        },
    ],
)
def test_legacy_conformers_as_model_json_has_them(stored: dict[str, str]) -> None:
    expected = build("conformer-legacy").eval()
    model = build("conformer-legacy", **stored).eval()
    model.load_state_dict(expected.state_dict(), strict=True)
    torch.testing.assert_close(model(*batch()), expected(*batch()))
    latest = build("conformer-latest").eval()
    latest.load_state_dict(expected.state_dict(), strict=True)
    assert not torch.allclose(latest(*batch()), expected(*batch()))


def test_embedded_tokens() -> None:
    """Ids (B, T), or (B, T, 1) as features from a file."""
    model = build(BASE, transformer_input_layer="embed").eval()
    _, ilens, ys = batch()
    ids = torch.randint(IDIM, (3, 29), generator=torch.Generator().manual_seed(0))
    loss = model(ids, ilens, ys)
    torch.testing.assert_close(model(ids[..., None].float(), ilens, ys), loss)
    hs, _ = model.encode_batch(ids, ilens)
    torch.testing.assert_close(model.encode(ids[1, :21]), hs[1, :21].detach())


def test_embedding_refuses_features() -> None:
    with pytest.raises(UserError, match="embed reads the ids of tokens, .* of 8 dim"):
        build(BASE, transformer_input_layer="embed")(*batch())


def test_a_conformer_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    start = torch.nn.Linear.reset_parameters

    def count(self: torch.nn.Linear) -> None:
        built.append(id(self))
        start(self)

    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", count)
    model = build("conformer-latest")
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert len(built) == len(linears)


OPTIONS: list[tuple[dict, str]] = [
    ({"aheads": 3}, "aheads: 3 does not divide adim 8"),
    ({"adim": 9, "aheads": 3}, "adim: 9 is odd"),
    ({"elayers": 0}, "elayers: 0 must be at least 1"),
    ({"dropout_rate": 1.5}, r"dropout-rate: 1.5 must lie in \[0, 1\]"),
    ({"transformer_attn_dropout_rate": -1.0}, "transformer-attn-dropout-rate: -1.0"),
    (
        {"stochastic_depth_rate": 1.0},
        r"stochastic-depth-rate: 1.0 must lie in \[0, 1\)",
    ),
    (
        {"transformer_input_layer": "conv2"},
        "transformer-input-layer: 'conv2' is none of .*did you mean 'conv2d'",
    ),
    (
        {"transformer_encoder_selfattn_layer_type": "light-dynamicconv2d"},
        "light-dynamicconv2d.*never had such a layer",
    ),
    (
        {"transformer_decoder_selfattn_layer_type": "rel_selfattn"},
        "transformer-decoder-selfattn-layer-type: 'rel_selfattn' is none of",
    ),
    ({"transformer_init": "zeros"}, "transformer-init: 'zeros' is none of pytorch"),
    (
        {"transformer_encoder_selfattn_layer_type": "lightconv", "wshare": 3},
        "wshare: 3 does not divide adim 8",
    ),
    (
        {"transformer_encoder_selfattn_layer_type": "lightconv", "elayers": 3},
        "ldconv-encoder-kernel-length: '3_7' has 2 numbers, and 3 encoder layers",
    ),
    (
        {
            "transformer_decoder_selfattn_layer_type": "dynamicconv",
            "ldconv_decoder_kernel_length": "5_4",
        },
        "ldconv-decoder-kernel-length: '5_4' must be odd numbers",
    ),
    (
        {"intermediate_ctc_layer": "3"},
        "intermediate-ctc-layer: '3' must be .* elayers 2",
    ),
    ({"intermediate_ctc_layer": "1,1"}, "intermediate-ctc-layer: '1,1' must be"),
    ({"intermediate_ctc_layer": "x"}, "intermediate-ctc-layer: 'x' must be"),
    ({"intermediate_ctc_weight": 0.2}, "0.2 needs intermediate-ctc-layer"),
    ({"intermediate_ctc_weight": 2.0}, r"intermediate-ctc-weight: 2.0 must lie in"),
    (
        {"intermediate_ctc_weight": 0.6, "intermediate_ctc_layer": "1"},
        "0.6 and mtlalpha 0.5 leave the attention loss a negative weight",
    ),
    ({"self_conditioning": True}, "self-conditioning: needs intermediate-ctc-layer"),
    (
        {"self_conditioning": True, "intermediate_ctc_layer": "1", "mtlalpha": 0.0},
        "self-conditioning: needs CTC, but mtlalpha is 0",
    ),
]


@pytest.mark.parametrize("name", ["transformer-conv2d", "conformer-linear"])
@pytest.mark.parametrize(("options", "message"), OPTIONS)
def test_options_that_cannot_be(name: str, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name, **options)


RELATIVE = {
    "transformer_encoder_pos_enc_layer_type": "rel_pos",
    "transformer_encoder_selfattn_layer_type": "rel_selfattn",
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_cnn_module": True, "cnn_module_kernel": 4}, "cnn-module-kernel: 4 must"),
        ({"transformer_encoder_activation_type": "gelu"}, "'gelu' is none of relu"),
        ({"rel_pos_type": "last"}, "rel-pos-type: 'last' .*did you mean 'latest'"),
        *(({key: value}, "need each other") for key, value in RELATIVE.items()),
    ],
)
def test_options_that_no_conformer_can_have(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build("conformer-linear", **options)


def test_relative_attention_is_for_conformers() -> None:
    with pytest.raises(UserError, match="an option of e2e_asr_conformer:E2E"):
        build(BASE, transformer_encoder_selfattn_layer_type="rel_selfattn")


def test_what_has_no_effect_is_said(caplog: pytest.LogCaptureFixture) -> None:
    options = {"intermediate_ctc_weight": 0.1, "intermediate_ctc_layer": "1"}
    with caplog.at_level(logging.WARNING):
        build(BASE, mtlalpha=0.0, **options)
    assert "intermediate-ctc-weight 0.1 has no effect" in caplog.text


def test_defaults_build_through_the_interface() -> None:
    model = Conformer.build(IDIM, ODIM, elayers=1, adim=8)
    assert model.get_total_subsampling_factor() == 4
    assert len(model.encode(torch.randn(30, IDIM))) == 6
