"""The language models that tests run over, as small as they can be."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.lm.options import full_name
from espnet.utils.dynamic_import import dynamic_import

TOKENS = ("<unk>", "<space>", "a", "b", "c")
VOCABULARY = len(TOKENS) + 2

# name: (model module, options)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "default-lstm": ("default", {"unit": 6, "embed_unit": 4, "step_weight": "one"}),
    "default-gru-tied": (
        "default",
        {"unit": 5, "type": "gru", "tie_weights": True, "step_weight": "one"},
    ),
    "seq_rnn-lstm": ("seq_rnn", {"unit": 6, "recurrence": "time"}),
    "seq_rnn-gru": ("seq_rnn", {"unit": 5, "type": "gru", "recurrence": "time"}),
    "transformer": (
        "transformer",
        {"layer": 2, "unit": 8, "att_unit": 6, "embed_unit": 4, "head": 2},
    ),
    "transformer-no-positions": (
        "transformer",
        {
            **{"layer": 2, "unit": 8, "att_unit": 6, "embed_unit": 6, "head": 3},
            **{"pos_enc": "none", "tie_weights": True},
        },
    ),
}


def build(name: str, **options: Any) -> LMInterface:
    """A small model of the table with spread weights, the same at each call."""
    module, given = MODELS[name]
    torch.manual_seed(3)
    args = Namespace(**{"dropout_rate": 0.0, **given, **options})
    model = dynamic_import(full_name(module))(VOCABULARY, args)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5)
    return model.eval()


class Golden:
    """A language model of ESPnet1 with what it says of some sentences."""

    def __init__(self, folder: Path) -> None:
        self.args = json.loads((folder / "model.json").read_text())
        model_class = dynamic_import(full_name(self.args["model_module"]))
        self.model = model_class(self.args["n_vocab"], Namespace(**self.args))
        state = torch.load(folder / "rnnlm.model.best", weights_only=True)
        self.model.load_state_dict(state, strict=True)
        self.model.eval()
        self.keys = set(state)
        self.arrays = dict(np.load(folder / "expected.npz"))
        self.numbers = json.loads((folder / "expected.json").read_text())
        self.sentences: list[list[int]] = self.numbers["sentences"]
        self.eos: int = self.args["n_vocab"] - 1
