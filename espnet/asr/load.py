"""Load a trained recogniser: its weights, and the model.json that rebuilds it."""

from __future__ import annotations

import json
import logging
import pickle
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet.nets.asr_interface import ASRInterface
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import DataError, UserError

DEFAULT_MODEL = "espnet.nets.pytorch_backend.e2e_asr:E2E"
MAX_SHOWN = 10  # differing parameters that are printed one by one


@dataclass(frozen=True)
class TrainedConfig:
    """What ``model.json`` says of a recogniser.

    Attributes:
        idim: feature size D.
        odim: vocabulary size V.
        args: every option of the training, names with ``_``.
        char_list: the tokens by id (V).
    """

    idim: int
    odim: int
    args: dict[str, Any]
    char_list: list[str]


def load_trained_config(path: str | Path) -> TrainedConfig:
    """Read the ``model.json`` of a recogniser: ``[idim, odim, options]``.

    Raises:
        UserError: the file is missing, not JSON, or of another kind of model.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; training writes it beside the "
            f"model, --model-conf names another one"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    if isinstance(content, dict) and "n_vocab" in content:
        raise UserError(
            f"{path}: belongs to a language model; --model wants a recogniser"
        )
    match content:
        case [int(idim), int(odim), dict(args)]:
            pass
        case [list(), int(), dict()]:
            raise UserError(f"{path}: a model of several encoders is not supported yet")
        case _:
            raise UserError(f"{path}: must be [idim, odim, {{options}}]")
    char_list = args.get("char_list")
    if not isinstance(char_list, list) or len(char_list) != odim:
        count = len(char_list) if isinstance(char_list, list) else "no"
        raise UserError(
            f"{path}: has {count} tokens in char_list, but {odim} outputs; it is not "
            f"the model.json of a recogniser"
        )
    return TrainedConfig(idim, odim, args, char_list)


def load_trained_model(
    path: str | Path, conf: str | Path | None = None, trust: bool = False
) -> tuple[ASRInterface, TrainedConfig]:
    """Load a recogniser, ready for decoding on the CPU (eval mode).

    Args:
        path: ``model.*.best``, an averaged model, or ``snapshot.ep.N``.
        conf: its model.json; None for the one beside it.
        trust: unpickle old files that hold more than tensors, which can run any code.

    Raises:
        UserError: a file is missing, damaged or not a recogniser.
        DataError: one line for each parameter that does not fit.
    """
    path = Path(path)
    conf = Path(conf) if conf else path.parent / "model.json"
    weights = read_weights(path, trust)
    config = load_trained_config(conf)
    model = _build(config, conf)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        problems = _differences(model.state_dict(), weights, path, conf)
        raise DataError(problems or [f"{path}: {error}"]) from None
    return model.eval(), config


def _build(config: TrainedConfig, conf: Path) -> ASRInterface:
    """The model that model.json describes, with random weights."""
    name = config.args.get("model_module") or DEFAULT_MODEL
    if "chainer_backend" in name:
        raise UserError(
            f"{conf}: model_module '{name}' is a Chainer model; only pytorch is built, "
            f"train it anew"
        )
    model_class = dynamic_import(name, f"{conf}: model_module")
    if not (isinstance(model_class, type) and issubclass(model_class, ASRInterface)):
        raise UserError(f"{conf}: model_module '{name}' is not a recogniser")
    args = Namespace(**config.args)
    return model_class(config.idim, config.odim, args)  # type: ignore[call-arg]


def read_weights(path: str | Path, trust: bool = False) -> dict[str, Tensor]:
    """The state dict of a model file, or of a snapshot's ``model`` entry.

    Args:
        path: the file.
        trust: see :func:`load_trained_model`.

    Raises:
        UserError: missing, cut short, not made by torch, or without tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such model file")
    _check_whole(path)
    content = _read(path, trust)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]  # a snapshot
    if not (
        isinstance(content, Mapping)
        and content
        and all(isinstance(value, Tensor) for value in content.values())
    ):
        raise UserError(
            f"{path}: is not a model: it holds no table of named tensors; --model "
            f"wants model.loss.best, model.acc.best, an averaged model or snapshot.ep.N"
        )
    return dict(content)


def _read(path: Path, trust: bool) -> Any:
    """What torch.save wrote.

    Raises:
        UserError: it cannot be read, or not without running code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not trust:
            raise UserError(_pickle_reason(path, error)) from None
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {_first_line(error)}") from None
    logging.warning("%s: unpickled, because you said that it is trusted", path)
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # a pickle may raise anything
        raise UserError(f"{path}: cannot be read: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _check_whole(path: Path) -> None:
    """Refuse files that torch.save did not write, or not to the end.

    Raises:
        UserError: they are.
    """
    size = path.stat().st_size
    with open(path, "rb") as stream:
        begin = stream.read(2)
    if (begin == b"PK" and not zipfile.is_zipfile(path)) or size == 0:
        raise UserError(
            f"{path}: is cut short after {size} bytes (was the disk full?); use "
            f"another snapshot, or train on from an earlier one"
        )
    if begin != b"PK" and begin[:1] != b"\x80":
        raise UserError(
            f"{path}: is not a model: torch.save did not write it; --model wants "
            f"model.loss.best, model.acc.best, an averaged model or snapshot.ep.N"
        )


def _pickle_reason(path: Path, error: Exception) -> str:
    """Why a file that needs unpickling is refused, and what to do."""
    lines = [line for line in str(error).splitlines() if "GLOBAL" in line]
    what = lines[0].strip() if lines else _first_line(error)
    return (
        f"{path}: holds more than tensors, as snapshots of ESPnet1 do, and reading it "
        f"could run any code in it ({what}); if you trust its source, add "
        f"--trust-checkpoint"
    )


def _differences(
    model: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path, conf: Path
) -> list[str]:
    """A line for the likely cause, then one for each parameter that does not fit."""
    missing = [name for name in model if name not in weights]
    unexpected = [name for name in weights if name not in model]
    both = [name for name in model if name in weights]
    shapes = {
        name: (tuple(weights[name].shape), tuple(model[name].shape))
        for name in both
        if weights[name].shape != model[name].shape
    }
    problems = [f"'{name}' is missing" for name in missing]
    problems += [f"'{name}' is not in the model" for name in unexpected]
    problems += [
        f"'{name}' has shape {there}, the model needs {here}"
        for name, (there, here) in shapes.items()
    ]
    if not problems:
        return []
    cause = _likely_cause(missing, unexpected, shapes)
    lines = [f"{path}: does not fit {conf}: {cause}"]
    lines += [f"{path}: parameter {problem}" for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"{path}: ... and {len(problems) - MAX_SHOWN} more parameters")
    return lines


def _likely_cause(
    missing: list[str],
    unexpected: list[str],
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
) -> str:
    """One sentence on why parameters differ."""
    if any(name.startswith("predictor.") for name in unexpected):
        return "it is a language model, and --model wants a recogniser"
    if missing or unexpected:
        return "they are of different models; give the right --model-conf or --model"
    rows = {(there[:1], here[:1]) for there, here in shapes.values()}
    same_width = all(there[1:] == here[1:] for there, here in shapes.values())
    if same_width and len(rows) == 1:
        ((there, here),) = rows
        return (
            f"trained with a vocabulary of {there[0]} tokens, but model.json has "
            f"{here[0]}; were they made with different dictionaries?"
        )
    return "trained with layers or features of other sizes; give the right --model-conf"
