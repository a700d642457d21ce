"""Language models of a few parameters, as files that training leaves."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from espnet.nets.pytorch_backend.lm.options import full_name
from espnet.utils.dynamic_import import dynamic_import

CHARS = ["<blank>", "<unk>", "<space>", "a", "b", "<eos>"]
WORDS = ["<blank>", "<unk>", "a", "ab", "b", "<eos>"]
LM_SIZES: dict[str, dict[str, Any]] = {
    "default": {"unit": 6},
    "seq_rnn": {"unit": 6},
    "transformer": {"unit": 6, "att_unit": 4, "embed_unit": 4, "layer": 2},
}


def save(model: torch.nn.Module, path: Path) -> None:
    torch.manual_seed(2)
    for value in model.parameters():
        torch.nn.init.normal_(value)
    torch.save(model.state_dict(), path)


def write_lm(folder: Path, module: str, tokens: list[str] = CHARS, **more: Any) -> Path:
    """A language model as lm_train.py leaves it."""
    folder.mkdir(exist_ok=True)
    ids = {token: number for number, token in enumerate(tokens)}
    args = {**LM_SIZES[module], "model_module": module, "n_vocab": len(tokens)}
    args = {**args, "char_list_dict": ids, "dropout_rate": 0.5, **more}
    (folder / "model.json").write_text(json.dumps(args))
    save(
        load_class(module)(len(tokens), Namespace(**args)), folder / "rnnlm.model.best"
    )
    return folder / "rnnlm.model.best"


def load_class(module: str) -> Any:
    return dynamic_import(full_name(module))
