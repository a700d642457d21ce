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
    "rnn-ctc": (_RNN, {"mtlalpha": 1.0, "subsample": "1_2_1"}),
    "rnn-attention": (_RNN, {"mtlalpha": 0.0, "atype": "location2d"}),
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
