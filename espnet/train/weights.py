"""Files of weights, also of ESPnet1: read without running code, put into a model."""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espnet.utils.errors import DataError, UserError

Shapes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]

_PARALLEL = "module."  # nn.DataParallel puts it before every name
_VOCABULARY = re.compile(
    r"ctc\.ctc_lo|dec(oder)?\.(embed|output)|conditioning_layer|predictor\."
)
_LAYER = re.compile(r".*?(encoders\.|decoders\.|rnn|bt|dec\.decoder\.|nbrnn\.\w+_l)\d+")
# what a parameter's name tells of the option that it comes from; the first one counts
_OPTIONS = (
    (r"conditioning_layer", "self-conditioning"),
    (r"conv_module|norm_conv|norm_final", "use-cnn-module"),
    (r"feed_forward_macaron|norm_ff_macaron", "macaron-style"),
    (r"^encoder\..*self_attn", "transformer-encoder-selfattn-layer-type"),
    (r"^decoder\..*self_attn", "transformer-decoder-selfattn-layer-type"),
    (r"^encoder\.embed", "transformer-input-layer"),
    (r"^enc\.", "etype"),
    (r"^(dec\.)?att\.", "atype"),
    (r"^(ctc|decoder)\.", "mtlalpha"),
)


def read_weights(
    path: str | Path, trust: bool = False, wanted: str = "wanted are weights"
) -> dict[str, Tensor]:
    """The state dict in a file of weights, or in a snapshot's ``model`` entry.

    Args:
        path: the file.
        trust: unpickle old files that hold more than tensors, which can run any code.
        wanted: what to say when it is something else.

    Raises:
        UserError: missing, cut short, not made by torch, or without tensors.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such model file"
        raise UserError(f"{path}: {what}; {wanted}")
    _check_kind(path, wanted)
    content = _read(path, trust)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]  # a snapshot
    if not (
        isinstance(content, Mapping)
        and content
        and all(isinstance(value, Tensor) for value in content.values())
    ):
        raise UserError(
            f"{path}: is not a model: it holds no table of named tensors; {wanted}"
        )
    if all(name.startswith(_PARALLEL) for name in content):
        return {name[len(_PARALLEL) :]: value for name, value in content.items()}
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


def _check_kind(path: Path, wanted: str) -> None:
    """Refuse files that torch.save did not write, or not to the end.

    Raises:
        UserError: they are.
    """
    size = path.stat().st_size
    with open(path, "rb") as stream:
        begin = stream.read(2)
    is_zip = begin == b"PK"
    if (is_zip and not zipfile.is_zipfile(path)) or size == 0:
        raise UserError(
            f"{path}: is cut short after {size} bytes (was the disk full?); use "
            f"another snapshot, or train on from an earlier one"
        )
    if not is_zip and begin[:1] != b"\x80":
        raise UserError(
            f"{path}: is not a model: torch.save did not write it; {wanted}"
        )
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith(".npy") for name in archive.namelist()):
                raise UserError(
                    f"{path}: holds NumPy arrays, as models of Chainer do; only "
                    f"pytorch is built, train it anew"
                )


def _pickle_reason(path: Path, error: Exception) -> str:
    """Why a file that needs unpickling is refused, and what to do."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    what = found[1] if found else _first_line(error)
    return (
        f"{path}: holds more than tensors, as snapshots of ESPnet1 do, and reading it "
        f"could run any code in it ({what}); if you trust its source, add "
        f"--trust-checkpoint"
    )


def load_weights(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    source: str,
    target: str = "the model",
    remedy: str = "train with its model.json's options, or use another --outdir",
) -> None:
    """Put weights into a model; modules give old names of parameters today's.

    Args:
        model: takes them.
        weights: a state dict.
        source: where they come from, for messages.
        target: what describes the model, for messages; here and below as in training.
        remedy: what to do if they do not fit.

    Raises:
        DataError: names or shapes differ: a line for the likely cause, then one for
            each parameter. The model may then have some of the weights.
    """
    have = model.state_dict()
    shapes = {
        name: (tuple(weights[name].shape), tuple(value.shape))
        for name, value in have.items()
        if name in weights and weights[name].shape != value.shape
    }
    fitting = {name: value for name, value in weights.items() if name not in shapes}
    result = model.load_state_dict(fitting, strict=False)
    missing = [name for name in result.missing_keys if name not in shapes]
    unexpected = list(result.unexpected_keys)
    if not (missing or unexpected or shapes):
        return
    cause = _likely_cause(missing, unexpected, shapes, weights.keys() & have.keys())
    lines = [f"does not fit {target}: {cause}; {remedy}"]
    lines += [f"parameter '{name}' is missing" for name in missing]
    lines += [f"parameter '{name}' is not in the model" for name in unexpected]
    lines += [
        f"parameter '{name}' has shape {there}, the model needs {here}"
        for name, (there, here) in shapes.items()
    ]
    raise DataError(f"{source}: {line}" for line in lines)


def check_finite(model: nn.Module, source: str) -> None:
    """Refuse a model that cannot be used, as a training that diverged leaves it.

    Args:
        model: with its weights.
        source: where they come from, for messages.

    Raises:
        UserError: parameters hold nan or infinite numbers.
    """
    bad = [name for name, p in model.named_parameters() if not p.isfinite().all()]
    if bad:
        raise UserError(
            f"{source}: {len(bad)} parameters hold nan or infinite numbers, '{bad[0]}' "
            "is the first; its training diverged, take weights of an earlier epoch"
        )


def _likely_cause(
    missing: list[str], unexpected: list[str], shapes: Shapes, common: Iterable[str]
) -> str:
    """One sentence on why parameters differ."""
    names = missing + unexpected
    if not names:
        return _cause_of_shapes(shapes)
    if any(name.startswith("predictor.") for name in unexpected):
        return "it is a language model, and a recogniser is wanted"
    layers = [_LAYER.match(name) for name in names]
    known = {match[0] for name in common if (match := _LAYER.match(name))}
    if all(match and match[0] not in known for match in layers):
        return "trained with another number of layers (elayers, dlayers)"
    options = [
        next((option for part, option in _OPTIONS if re.search(part, name)), "")
        for name in names
    ]
    if not common or not all(options):
        return "they are of different models"
    return f"trained with another value of {' and '.join(dict.fromkeys(options))}"


def _cause_of_shapes(shapes: Shapes) -> str:
    pairs = {
        pair
        for there, here in shapes.values()
        for pair in zip(there, here, strict=False)
        if pair[0] != pair[1]
    }
    if len(pairs) == 1 and all(_VOCABULARY.search(name) for name in shapes):
        ((there, here),) = pairs
        return (
            f"trained with a vocabulary of {there} tokens, but here it has {here} (of "
            "another dictionary?)"
        )
    first_layer = all(re.match(r"enc\.|encoder\.embed\.", name) for name in shapes)
    if first_layer and all(there[0] == here[0] for there, here in shapes.values()):
        return "trained with features of another dimension"
    return "trained with layers of other sizes"
