"""Options of the Transducer: spellings, defaults, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from espnet.asr.train_options import parse_train_options
from espnet.nets.pytorch_backend.transducer.blocks import checked_blocks, parse_block
from espnet.nets.pytorch_backend.transducer.options import TransducerOptions
from espnet.utils.errors import UserError
from espnet.utils.options import read_config

MODULE = "espnet.nets.pytorch_backend.e2e_asr_transducer:E2E"
CONV: dict[str, Any] = {"type": "conv1d", "idim": 6, "odim": 8, "kernel_size": 3}
TRANSFORMER: dict[str, Any] = {"type": "transformer", "d_hidden": 8, "d_ff": 9}
TRANSFORMER["heads"] = 2
CONFORMER = {**TRANSFORMER, "type": "conformer", "macaron_style": True}
CONFORMER["use_conv_mod"] = False
CAUSAL = {**CONV, "type": "causal-conv1d"}


def parsed(tmp_path: Path, config: str, *flags: str) -> TransducerOptions:
    """What a training config and flags make of the options, by way of model.json."""
    path = tmp_path / "train.yaml"
    path.write_text(f'model-module: "{MODULE}"\n{config}', encoding="utf-8")
    argv = ["--config", str(path), "--outdir", "x", "--dict", "d"]
    argv += ["--batch-size", "2", *flags]
    values = json.loads(json.dumps(vars(parse_train_options(argv))))
    return read_config(TransducerOptions, values)


def test_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    options = parsed(tmp_path, "")
    assert (options.etype, options.dtype) == ("blstmp", "lstm")
    weights = {
        "transducer_weight": 1.0,
        "ctc_loss_weight": 0.5,
        "aux_transducer_loss_weight": 0.4,
        "aux_transducer_loss_mlp_dim": 320,
        "symm_kl_div_loss_weight": 0.2,
        "lm_loss_weight": 0.2,
        "fastemit_lambda": 0.0,
        "joint_dim": 320,
    }
    assert {name: getattr(options, name) for name in weights} == weights


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("transducer-loss-weight: 0.7", "transducer_weight", 0.7),
        ("transducer-weight: 0.7", "transducer_weight", 0.7),
        ("transformer-lr: 5", "noam_lr", 5.0),
        ("transformer-warmup-steps: 9", "optimizer_warmup_steps", 9),
        ("adim: 64", "noam_adim", 64),
        ("use-ctc-loss: True", "use_ctc_loss", True),
    ],
)
def test_other_names(tmp_path: Path, written: str, name: str, value: object) -> None:
    assert getattr(parsed(tmp_path, written), name) == value


@pytest.mark.parametrize("written", ["[0, 2]", '"[0, 2]"', '"(0, 2)"', '"0,2"'])
def test_auxiliary_layers_as_a_list_or_as_text(tmp_path: Path, written: str) -> None:
    config = (
        "use-aux-transducer-loss: true\n"
        f"aux-transducer-loss-enc-output-layers: {written}"
    )
    assert parsed(tmp_path, config).auxiliary_layers() == (0, 2)


def test_blocks_of_a_config_have_a_relu_and_those_of_old_models_do_not(
    tmp_path: Path,
) -> None:
    config = """
etype: custom
enc-block-arch:
    - type: tdnn
      idim: 6
      odim: 8
      kernel_size: [3, 7]
      stride: [1, 2]
      use-batchnorm: true
    - {type: conv1d, idim: 8, odim: 8, kernel_size: 3, use-relu: false}
"""
    first, second = parsed(tmp_path, config).encoder_blocks()
    assert first["type"] == "conv1d"
    assert first["use-relu"] and first["use-batch-norm"]
    assert not second["use-relu"] and not second["use-batch-norm"]
    (old,) = checked_blocks([CONV], "enc", 1)
    assert not old["use-relu"]


def test_blocks_on_the_command_line(tmp_path: Path) -> None:
    options = parsed(
        tmp_path,
        "etype: custom",
        "--enc-block-arch",
        "{type: conv1d, idim: 6, odim: 8, kernel_size: 3}",
        "--enc-block-arch",
        "{'type': 'transformer', 'd_hidden': 8, 'd_ff': 9, 'heads': 2}",
        "--enc-block-repeat",
        "1",
    )
    types = [block["type"] for block in options.encoder_blocks()]
    assert types == ["conv1d", "transformer"]


def test_tuples_are_lists(tmp_path: Path) -> None:
    """The documentation says "int or tuple", and YAML has no tuples."""
    config = """
etype: custom
enc-block-arch:
    - type: conv1d
      idim: 6
      odim: 8
      kernel_size: (3, 7)
      stride: (1,)
"""
    python = "{'type':'conv1d','idim':6,'odim':8,'kernel_size':(3,7),'stride':(1, )}"
    for flags in ([], ["--enc-block-arch", python]):
        (block,) = parsed(tmp_path, config, *flags).encoder_blocks()
        assert (block["kernel_size"], block["stride"]) == ([3, 7], [1])


def test_a_key_in_two_spellings(tmp_path: Path) -> None:
    block = "{type: conv1d, use-batchnorm: true, use_batch_norm: false}"
    words = "'use-batch-norm' is given twice, once as 'use_batch_norm'; leave one out"
    with pytest.raises(UserError, match=f"train.yaml: enc-block-arch: .*{words}"):
        parsed(tmp_path, f"etype: custom\nenc-block-arch:\n  - {block}\n")


def test_a_block_that_is_no_mapping() -> None:
    with pytest.raises(ValueError, match="is not a mapping"):
        parse_block("conv1d")


@pytest.mark.parametrize(
    ("part", "blocks", "words"),
    [
        ("enc", [], "enc-block-arch: is missing; etype 'custom' needs a list"),
        ("dec", None, "dec-block-arch: is missing; dtype 'custom' needs a list"),
        ("enc", CONV, "must be a list of blocks"),
        ("enc", [CONV, "x"], "block 2: must be a mapping, is 'x'"),
        ("enc", [{}], "block 1: key 'type' is missing; it is one of conv1d, tr"),
        ("enc", [{**CONV, "type": "conv2"}], "block 1: type: 'conv2' is none of"),
        ("dec", [CONV], "'conv1d' is none of causal-conv1d, transformer"),
        ("dec", [CONFORMER], "'conformer' is none of .* in the decoder"),
        ("enc", [CAUSAL], "'causal-conv1d' is none of .* in the encoder"),
        (
            "enc",
            [CONV, {**TRANSFORMER, "dropout": 0.1}],
            r"block 2 \(transformer\): unknown key 'dropout' \(did you mean"
            r" 'dropout-rate'\?\); there are d_hidden, d_ff, heads, dropout-rate",
        ),
        (
            "enc",
            [{"type": "conv1d", "idim": 6, "odim": 8}],
            r"block 1 \(conv1d\): key 'kernel_size' is missing; it must be a whole"
            " number of at least 1, or a list",
        ),
        (
            "enc",
            [{**CONFORMER, "use_conv_mod": True}],
            "key 'conv_mod_kernel' is missing; it must be an odd number",
        ),
        ("enc", [{**CONV, "odim": "x"}], "odim: 'x' must be a whole number"),
        ("enc", [{**CONV, "use-relu": 3}], "use-relu: 3 must be true or false"),
        ("enc", [{**CONV, "dropout-rate": 2}], r"dropout-rate: 2 must be .* \[0, 1\]"),
        ("dec", [{**CAUSAL, "stride": 2}], "stride: 2 must be 1: a decoder"),
        ("dec", [{**CAUSAL, "kernel_size": [3]}], r"kernel_size: \[3\] must be"),
        ("enc", [{**CONFORMER, "heads": 3}], "heads: 3 does not divide d_hidden 8"),
        ("enc", [{**CONV, "groups": 4}], "groups: 4 does not divide idim 6"),
        (
            "enc",
            [{**CONV, "kernel_size": [3, 5], "stride": [1, 2, 2]}],
            r"kernel_size: \[3, 5\] has 2 entries, but stride has 3",
        ),
        (
            "enc",
            [CONV, {**TRANSFORMER, "d_hidden": 10}],
            r"block 1 \(conv1d\) has odim 8, but block 2 \(transformer\), which"
            " follows, has d_hidden 10; they must be the same",
        ),
        ("enc", [TRANSFORMER, CONFORMER], "only one of the two can be used"),
    ],
)
def test_blocks_that_are_refused(part: str, blocks: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        checked_blocks(blocks, part, 1)
    assert str(error.value).startswith(f"{part}-block-arch: ")


def test_a_list_that_does_not_follow_on_itself() -> None:
    with pytest.raises(
        UserError,
        match=r"block 2 \(transformer\) has d_hidden 8, but block 1 \(conv1d\), which"
        r" follows \(enc-block-repeat 3\), has idim 6",
    ):
        checked_blocks([CONV, TRANSFORMER], "enc", 3)


CUSTOM = {"etype": "custom", "enc_block_arch": [CONFORMER, CONFORMER]}
NARROW = [{**CONV, "odim": 6}, CONV, TRANSFORMER]  # at its beginning
AUX = {"use_aux_transducer_loss": True}
LAYERS = "aux_transducer_loss_enc_output_layers"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"etype": "lstn"}, "etype: 'lstn' is none of custom, .*did you mean 'lstm'"),
        ({"dtype": "rnn"}, "dtype: 'rnn' is none of lstm, gru, custom, transformer"),
        ({"etype": "custom"}, "enc-block-arch: is missing"),
        ({"dtype": "custom"}, "dec-block-arch: is missing"),
        ({"joint_activation_type": "selu"}, "joint-activation-type: 'selu'"),
        ({"joint_dim": 0}, "joint-dim: 0 must be at least 1"),
        ({"elayers": 0}, "elayers: 0 must be at least 1"),
        ({"dropout_rate": 1.5}, r"dropout-rate: 1.5 must lie in \[0, 1\]"),
        ({"fastemit_lambda": -1.0}, "fastemit-lambda: -1.0 must not be negative"),
        ({"transducer_weight": -1.0}, "transducer-weight: -1.0 must not be negative"),
        (
            {"aux_transducer_loss_weight": float("inf")},
            "aux-transducer-loss-weight: inf must not be negative or infinite",
        ),
        (
            {**CUSTOM, "custom_enc_positional_encoding_type": "rel_pos"},
            "'rel_pos' needs custom-enc-self-attn-type 'rel_self_attn'",
        ),
        (
            {**CUSTOM, "custom_enc_self_attn_type": "rel_self_attn"},
            "'rel_self_attn' needs custom-enc-positional-encoding-type 'rel_pos'",
        ),
        (
            {
                **{**CUSTOM, "enc_block_arch": [TRANSFORMER]},
                "custom_enc_positional_encoding_type": "rel_pos",
                "custom_enc_self_attn_type": "rel_self_attn",
            },
            "'rel_pos' is for conformer blocks",
        ),
        (
            {**CUSTOM, "enc_block_arch": [{**CONV, "idim": 7}]},
            "block 1 has the odd input size 7",
        ),
        (
            {
                "dtype": "custom",
                "dec_block_arch": [{**TRANSFORMER, "d_hidden": 9, "heads": 3}],
            },
            "dec-block-arch: block 1 has the odd input size 9",
        ),
        (
            {
                **{"dtype": "custom", "dec_block_arch": [TRANSFORMER]},
                "custom_dec_input_layer": "linear",
            },
            "'linear' cannot read label ids; use embed",
        ),
        (
            {"use_symm_kl_div_loss": True},
            "add use-aux-transducer-loss",
        ),
        (AUX, "is missing; use-aux-transducer-loss needs a list"),
        ({**AUX, LAYERS: [3]}, r"3 is no layer before the last .* in \[0, 2\]"),
        ({**AUX, **CUSTOM, LAYERS: [0, 1]}, r"1 is no layer .* has 2, .* in \[0, 0\]"),
        (
            {**AUX, **CUSTOM, LAYERS: [1, 0], "enc_block_arch": NARROW},
            r"0: block 1 \(conv1d\) gives 6 features, the last one 8; choose blocks",
        ),
        (
            {**AUX, LAYERS: [0], "use_symm_kl_div_loss": True, "subsample": "1_1_2"},
            "the layers behind it reduce the frames",
        ),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_config(TransducerOptions, options)
