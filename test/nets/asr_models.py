"""The recognisers that the tests of all models run over, as small as they can be."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet.nets.asr_interface import ASRInterface
from espnet.utils.dynamic_import import dynamic_import

CHAR_LIST = ("<blank>", "<unk>", "<space>", "a", "b", "c", "<eos>")
IDIM, ODIM = 8, len(CHAR_LIST)

_RNN = "espnet.nets.pytorch_backend.e2e_asr:E2E"
_RNN_SIZES: dict[str, Any] = {
    "elayers": 2,
    "eunits": 6,
    "eprojs": 5,
    "adim": 4,
    "aheads": 2,
    "awin": 3,
    "aconv_chans": 2,
    "aconv_filts": 3,
    "dunits": 7,
    "char_list": CHAR_LIST,
}
_TRANSFORMER = "espnet.nets.pytorch_backend.e2e_asr_transformer:E2E"
_CONFORMER = "espnet.nets.pytorch_backend.e2e_asr_conformer:E2E"
_SIZES: dict[str, Any] = {
    "adim": 8,
    "aheads": 2,
    "wshare": 2,
    "dlayers": 2,
    "lsm_weight": 0.1,
    "ldconv_encoder_kernel_length": "3_7",
    "ldconv_decoder_kernel_length": "5_3",
}
_RELATIVE: dict[str, Any] = {
    "transformer_encoder_pos_enc_layer_type": "rel_pos",
    "transformer_encoder_selfattn_layer_type": "rel_selfattn",
}
_CONVOLVING: dict[str, Any] = {"use_cnn_module": True, "cnn_module_kernel": 5}
_TRANSDUCER = "espnet.nets.pytorch_backend.e2e_asr_transducer:E2E"
_TRANSDUCER_SIZES: dict[str, Any] = {"joint_dim": 6, "dec_embed_dim": 5}
_CONFORMER_BLOCK: dict[str, Any] = {
    **{"type": "conformer", "d_hidden": 8, "d_ff": 10, "heads": 2},
    **{"macaron_style": True, "use_conv_mod": True, "conv_mod_kernel": 3},
}
_TRANSFORMER_BLOCK: dict[str, Any] = {
    **{"type": "transformer", "d_hidden": 8, "d_ff": 10, "heads": 2},
}
_CONV_BLOCK: dict[str, Any] = {
    **{"type": "conv1d", "idim": 6, "odim": 8, "kernel_size": 3, "stride": 2},
    **{"use-batch-norm": True, "use-relu": True},
}
_CAUSAL_BLOCK: dict[str, Any] = {
    **{"type": "causal-conv1d", "idim": 6, "odim": 8, "kernel_size": 3},
    **{"use-batch-norm": True, "use-relu": True},
}

# name: (model module, options)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn-blstmp-dot": (_RNN, {"subsample": "1_2_1"}),
    "rnn-vggblstmp-location": (_RNN, {"etype": "vggblstmp", "atype": "location"}),
    "rnn-bgru-multi_head_loc-gru": (
        _RNN,
        {"etype": "bgru", "atype": "multi_head_loc", "dtype": "gru", "dlayers": 2},
    ),
    "rnn-lstmp-coverage-residual": (
        _RNN,
        {"etype": "lstmp", "atype": "coverage", "context_residual": True},
    ),
    "rnn-vgggru-noatt": (_RNN, {"etype": "vgggru", "atype": "noatt"}),
    "rnn-vggbgrup-location_recurrent": (
        _RNN,
        {"etype": "vggbgrup", "atype": "location_recurrent"},
    ),
    "rnn-lstm-coverage_location": (
        _RNN,
        {"etype": "lstm", "atype": "coverage_location", "dlayers": 2},
    ),
    "rnn-bgrup-multi_head_multi_res_loc-gru": (
        _RNN,
        {"etype": "bgrup", "atype": "multi_head_multi_res_loc", "dtype": "gru"},
    ),
    "rnn-ctc": (_RNN, {"mtlalpha": 1.0, "subsample": "1_2_1"}),
    "rnn-attention": (_RNN, {"mtlalpha": 0.0, "atype": "location2d"}),
    "transformer-conv2d": (_TRANSFORMER, _SIZES),
    "transformer-linear-scaled-lightconv": (
        _TRANSFORMER,
        {
            **_SIZES,
            "transformer_input_layer": "linear",
            "transformer_encoder_pos_enc_layer_type": "scaled_abs_pos",
            "transformer_encoder_selfattn_layer_type": "lightconv",
            "transformer_decoder_selfattn_layer_type": "lightconv2d",
            "ldconv_usebias": True,
        },
    ),
    "transformer-vgg2l-dynamicconv": (
        _TRANSFORMER,
        {
            **_SIZES,
            "transformer_input_layer": "vgg2l",
            "transformer_encoder_selfattn_layer_type": "dynamicconv2d",
            "transformer_decoder_selfattn_layer_type": "dynamicconv",
            "ldconv_usebias": True,
        },
    ),
    "transformer-intermediate": (
        _TRANSFORMER,
        {
            **_SIZES,
            "intermediate_ctc_layer": "1",
            "intermediate_ctc_weight": 0.2,
            "self_conditioning": True,
        },
    ),
    "transformer-ctc": (_TRANSFORMER, {**_SIZES, "mtlalpha": 1.0}),
    "transformer-attention": (_TRANSFORMER, {**_SIZES, "mtlalpha": 0.0}),
    "conformer-linear": (_CONFORMER, {**_SIZES, "transformer_input_layer": "linear"}),
    "conformer-latest": (
        _CONFORMER,
        {
            **_SIZES,
            **_RELATIVE,
            **_CONVOLVING,
            "rel_pos_type": "latest",
            "macaron_style": True,
        },
    ),
    "conformer-legacy": (
        _CONFORMER,
        {**_SIZES, **_RELATIVE, **_CONVOLVING, "macaron_style": True},
    ),
    "conformer-legacy-triu": (
        _CONFORMER,
        {
            **_SIZES,
            **_RELATIVE,
            "transformer_input_layer": "vgg2l",
            "transformer_encoder_activation_type": "selu",
            "zero_triu": True,
        },
    ),
    "transducer-blstmp-lstm": (
        _TRANSDUCER,
        {**_TRANSDUCER_SIZES, "subsample": "1_2_1", "dlayers": 2},
    ),
    "transducer-vgggru-gru": (
        _TRANSDUCER,
        {**_TRANSDUCER_SIZES, "etype": "vgggru", "dtype": "gru"},
    ),
    "transducer-bgru-all-tasks": (
        _TRANSDUCER,
        {
            **_TRANSDUCER_SIZES,
            "etype": "bgru",
            "joint_activation_type": "swish",
            "use_ctc_loss": True,
            "use_lm_loss": True,
            "lm_loss_smoothing_rate": 0.1,
            "use_aux_transducer_loss": True,
            "aux_transducer_loss_enc_output_layers": [0],
            "aux_transducer_loss_mlp_dim": 7,
            "use_symm_kl_div_loss": True,
            "fastemit_lambda": 0.01,
        },
    ),
    "transducer-conv1d-conformer-lstm": (
        _TRANSDUCER,
        {
            **_TRANSDUCER_SIZES,
            "etype": "custom",
            "enc_block_arch": [_CONV_BLOCK, _CONFORMER_BLOCK],
            "custom_enc_input_layer": "linear",
            "custom_enc_positional_encoding_type": "rel_pos",
            "custom_enc_self_attn_type": "rel_self_attn",
            "joint_activation_type": "relu",
        },
    ),
    "transducer-vgg2l-conformer-custom": (
        _TRANSDUCER,
        {
            **_TRANSDUCER_SIZES,
            "etype": "custom",
            "dtype": "custom",
            "enc_block_arch": [_CONFORMER_BLOCK],
            "enc_block_repeat": 2,
            "dec_block_arch": [_TRANSFORMER_BLOCK],
            "dec_block_repeat": 2,
            "custom_enc_input_layer": "vgg2l",
        },
    ),
    "transducer-tdnn-transformer-custom": (
        _TRANSDUCER,
        {
            **_TRANSDUCER_SIZES,
            "etype": "custom",
            "dtype": "custom",
            "enc_block_arch": [
                {**_CONV_BLOCK, "kernel_size": [2, 3], "stride": [1, 2]},
                _TRANSFORMER_BLOCK,
                _TRANSFORMER_BLOCK,
            ],
            "dec_block_arch": [_CAUSAL_BLOCK, _TRANSFORMER_BLOCK],
            "custom_enc_input_layer": "linear",
            "custom_enc_positional_encoding_type": "scaled_abs_pos",
            "use_aux_transducer_loss": True,
            "aux_transducer_loss_enc_output_layers": [1],
            "aux_transducer_loss_mlp_dim": 7,
        },
    ),
}


def build(name: str, **options: Any) -> ASRInterface:
    """A small model of the table, the same at each call."""
    torch.manual_seed(0)
    return dynamic_import(MODELS[name][0])(IDIM, ODIM, arguments(name, **options))


def arguments(name: str, **options: Any) -> Namespace:
    """The options that ``build`` gives to a model."""
    return Namespace(**{**_RNN_SIZES, **MODELS[name][1], **options})


def batch(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Three utterances of unequal lengths: features, lengths, labels."""
    draw = torch.Generator().manual_seed(1)
    ilens = torch.tensor([29, 21, 13])
    xs = torch.randn(3, 29, IDIM, generator=draw).to(dtype)
    for x, length in zip(xs, ilens, strict=True):
        x[length:] = 0.0
    ys = torch.tensor([[3, 4, 5, 5], [4, 2, 3, -1], [5, 3, -1, -1]])
    return xs, ilens, ys


class Golden:
    """A model of ESPnet1 with what it says of three utterances."""

    def __init__(self, folder: Path) -> None:
        idim, odim, args = json.loads((folder / "model.json").read_text())
        self.model = dynamic_import(args["model_module"])(idim, odim, Namespace(**args))
        state = torch.load(folder / "model.loss.best", weights_only=True)
        self.model.load_state_dict(state, strict=True)
        self.model.eval()
        self.arrays = dict(np.load(folder / "expected.npz"))
        self.numbers = json.loads((folder / "expected.json").read_text())

    def utterance(self, name: str) -> tuple[Tensor, Tensor]:
        """Features (T, D) and labels (L,)."""
        x, y = (torch.tensor(self.arrays[f"{name}/{part}"]) for part in "xy")
        return x, y.long()
