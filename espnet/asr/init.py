"""Start from trained models (``--enc-init``, ``--dec-init``), freeze parts of them.

Parts are named by the beginnings of their parameters' names: ``enc.`` is the encoder of
the RNN recogniser, ``encoder.`` that of the Transformer family; ``encoder.encoders.0.``
is its first block.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from espnet.asr.train_options import InitOptions
from espnet.train.weights import read_weights
from espnet.utils.errors import DataError, UserError

# what a language model's parameters are called in a Transducer's decoder
_OF_LANGUAGE_MODEL = (
    (re.compile(r"^predictor\.embed\."), "dec.embed."),
    (re.compile(r"^predictor\.rnn\.(\d+)\.(\w+)$"), r"dec.decoder.\1.\2_l0"),
)
RANDOM = "random"


def initialise(model: nn.Module, options: InitOptions) -> str:
    """Transfer and freeze what the options say.

    Freezing stops the gradient, no more: dropout stays, and a batch norm goes on
    following the mean and variance of its input.

    Args:
        model: freshly made; loses ``requires_grad`` where it is frozen.
        options: files, and the beginnings of parameter names.

    Returns:
        A table of where each part of the model starts from and whether it is trained;
        empty if nothing is transferred or frozen.

    Raises:
        UserError: no such file, or a beginning that fits no parameter.
        DataError: the part has other parameters in the file than in the model.
    """
    origins: dict[str, str] = {}
    for option, path, mods in (
        ("enc-init", options.enc_init, options.enc_init_mods),
        ("dec-init", options.dec_init, options.dec_init_mods),
    ):
        if path:
            wanted = f"--{option} wants model.loss.best, model.acc.best or a snapshot"
            weights = read_weights(path, options.trust_checkpoint, wanted)
            names = transfer(model, todays_names(weights), mods, f"{option}-mods", path)
            origins.update(dict.fromkeys(names, path))
    if options.freeze_mods:
        freeze(model, options.freeze_mods)
    return table(model, origins) if origins or options.freeze_mods else ""


def todays_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights, those of a language model by the names that a decoder has for them."""
    named = {}
    for name, value in weights.items():
        for old, new in _OF_LANGUAGE_MODEL:
            name = old.sub(new, name)
        named[name] = value
    return named


@torch.no_grad()
def transfer(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    mods: Sequence[str],
    option: str,
    source: str,
) -> list[str]:
    """Copy the weights whose names begin with one of ``mods``; returns these names.

    Raises:
        UserError: one of ``mods`` fits no weight.
        DataError: model and weights differ there in names or shapes.
    """
    have = model.state_dict()
    _check_beginnings(option, mods, weights, source)
    theirs = [name for name in weights if name.startswith(tuple(mods))]
    ours = [name for name in have if name.startswith(tuple(mods))]
    problems = [f"'{name}' is not in the model" for name in theirs if name not in have]
    problems += [f"'{name}' is not in the file" for name in ours if name not in weights]
    problems += [
        f"'{name}' has shape {tuple(weights[name].shape)} in the file, "
        f"{tuple(have[name].shape)} in the model"
        for name in ours
        if name in weights and weights[name].shape != have[name].shape
    ]
    if problems:
        first = (
            f"{source}: cannot be transferred: what {option} "
            f"{','.join(mods)} names must be the same in both models; train with the "
            f"options of the file's model.json, or leave parts out of {option}"
        )
        raise DataError([first, *(f"{source}: parameter {p}" for p in problems)])
    for name in theirs:
        have[name].copy_(weights[name])
    return theirs


def freeze(model: nn.Module, mods: Sequence[str]) -> None:
    """Stop the gradient of parameters whose names begin with one of ``mods``.

    Raises:
        UserError: one of ``mods`` fits no parameter.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    _check_beginnings("freeze-mods", mods, parameters, "the model")
    for name, parameter in parameters.items():
        if name.startswith(tuple(mods)):
            parameter.requires_grad_(False)


def _check_beginnings(
    option: str, mods: Iterable[str], names: Collection[str], place: str
) -> None:
    for mod in mods:
        if not any(name.startswith(mod) for name in names):
            known = sorted({f"{name.split('.')[0]}." for name in names})
            raise UserError(
                f"{option}: no parameter of {place} begins with '{mod}'; they begin "
                f"with {', '.join(known)}"
            )


def table(model: nn.Module, origins: Mapping[str, str]) -> str:
    """Rows of part, numbers in it, where it starts from, and whether it is trained.

    Args:
        model: the model.
        origins: name of a transferred weight -> its file.
    """
    parameters = list(model.named_parameters())
    states = {
        name: (origins.get(name, RANDOM), "trained" if p.requires_grad else "frozen")
        for name, p in parameters
    }
    sizes = {name: p.numel() for name, p in parameters}
    rows = [("part", "numbers", "starts from", "is"), *_rows(states, sizes)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _rows(
    states: Mapping[str, tuple[str, str]], sizes: Mapping[str, int], depth: int = 1
) -> list[tuple[str, str, str, str]]:
    """One row for each part, divided until all of a part is in the same state."""
    parts: dict[str, dict[str, tuple[str, str]]] = {}
    for name, state in states.items():
        parts.setdefault(".".join(name.split(".")[:depth]), {})[name] = state
    rows = []
    for part, inside in parts.items():
        if len(set(inside.values())) == 1:
            count = sum(sizes[name] for name in inside)
            rows.append((part, f"{count:,}", *next(iter(inside.values()))))
        else:
            rows += _rows(inside, sizes, depth + 1)
    return rows
