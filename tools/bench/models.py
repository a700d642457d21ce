"""The recognisers that are measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch is imported by the cases that need it
    from espnet.nets.asr_interface import ASRInterface

DIMS, VOCABULARY = 83, 500
BLOCKS = {
    "adim": 256,
    "aheads": 4,
    "elayers": 12,
    "eunits": 2048,
    "dlayers": 6,
    "dunits": 2048,
    "transformer_input_layer": "conv2d",
    "dropout_rate": 0.1,
    "mtlalpha": 0.3,
}
MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "rnn": (
        "e2e_asr",
        {
            "etype": "vggblstmp",
            "elayers": 4,
            "eunits": 320,
            "eprojs": 320,
            "dunits": 300,
            "atype": "location",
            "aconv_chans": 10,
            "aconv_filts": 100,
            "mtlalpha": 0.5,
        },
    ),
    "transformer": ("e2e_asr_transformer", BLOCKS),
    "conformer": (
        "e2e_asr_conformer",
        {
            **BLOCKS,
            "macaron_style": True,
            "use_cnn_module": True,
            "cnn_module_kernel": 31,
            "transformer_encoder_pos_enc_layer_type": "rel_pos",
            "transformer_encoder_selfattn_layer_type": "rel_selfattn",
            "transformer_encoder_activation_type": "swish",
        },
    ),
}


def build(name: str) -> ASRInterface:
    """A model of ``MODELS`` with random weights, always the same."""
    import torch

    from espnet.utils.dynamic_import import dynamic_import

    torch.manual_seed(0)
    module, options = MODELS[name]
    kind = dynamic_import(f"espnet.nets.pytorch_backend.{module}:E2E")
    return kind.build(DIMS, VOCABULARY, **options)
