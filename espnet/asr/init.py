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

from espnet.asr.token_map import TokenMap
from espnet.asr.train_options import InitOptions
from espnet.train.weights import read_weights
from espnet.utils.errors import DataError, UserError

# what a language model's parameters are called in a Transducer's decoder
_OF_LANGUAGE_MODEL = (
    (re.compile(r"^predictor\.embed\."), "dec.embed."),
    (re.compile(r"^predictor\.rnn\.(\d+)\.(\w+)$"), r"dec.decoder.\1.\2_l0"),
)
# the layers of an attention model's encoder are one module, a Transducer's are single
_OF_ATTENTION_MODEL = re.compile(r"^(.*)\.nbrnn\.(\w+)_l(\d+)(_reverse)?$")
RANDOM = "random"
ATTENTION = "att."


def initialise(
    model: nn.Module, options: InitOptions, char_list: Sequence[str] = ()
) -> str:
    """Transfer and freeze what the options say.

    Freezing stops the gradient, no more: dropout stays, and a batch norm goes on
    following the mean and variance of its input.

    Args:
        model: freshly made; loses ``requires_grad`` where it is frozen.
        options: files, and the beginnings of parameter names.
        char_list: the model's tokens, for ``--init-map-tokens``.

    Returns:
        A table of where each part of the model starts from and whether it is trained,
        and below it what was not taken; empty if nothing is transferred or frozen.

    Raises:
        UserError: no such file, or a beginning that fits no parameter.
        DataError: the part has other parameters in the file than in the model.
    """
    origins: dict[str, str] = {}
    remarks: list[str] = []
    files: dict[str, dict[str, Tensor]] = {}
    for option, path, mods in (
        ("enc-init", options.enc_init, options.enc_init_mods),
        ("dec-init", options.dec_init, options.dec_init_mods),
    ):
        if path:
            wanted = f"--{option} wants model.loss.best, model.acc.best or a snapshot"
            weights = read_weights(path, options.trust_checkpoint, wanted)
            weights = fitting(weights, model)
            if mods == InitOptions().dec_init_mods:
                mods = _without_attention(mods, model)
            if options.init_map_tokens:
                tokens = TokenMap.of(path, char_list)
                weights = tokens.apply(weights, model.state_dict())
                remarks.append(str(tokens))
            names = transfer(model, weights, mods, f"{option}-mods", path)
            origins.update(dict.fromkeys(names, path))
            files.setdefault(path, {}).update(weights)
    if options.freeze_mods:
        freeze(model, options.freeze_mods)
    if not (origins or options.freeze_mods):
        return ""
    remarks += [left_out(path, files[path], origins) for path in files]
    return "\n".join([table(model, origins), *filter(None, dict.fromkeys(remarks))])


def _without_attention(mods: Sequence[str], model: nn.Module) -> tuple[str, ...]:
    """The default beginnings for a model without attention, a Transducer."""
    names = list(model.state_dict())
    has = any(name.startswith(ATTENTION) for name in names)
    return tuple(mod for mod in mods if has or mod != ATTENTION)


def left_out(
    source: str, weights: Mapping[str, Tensor], origins: Mapping[str, str]
) -> str:
    """A line on the parts of a file that were not taken; empty if all were."""
    sizes: dict[str, int] = {}
    for name, value in weights.items():
        if origins.get(name) != source:
            part = name.partition(".")[0]
            sizes[part] = sizes.get(part, 0) + value.numel()
    if not sizes:
        return ""
    parts = ", ".join(f"{part} ({sizes[part]:,} numbers)" for part in sizes)
    return f"not taken from {source}, as no enc- or dec-init-mods name it: {parts}"


def fitting(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights by the names that a model has for them.

    The default language model becomes a Transducer's decoder, and the encoder of an
    attention model that of a Transducer, if it is one without projections.

    Args:
        weights: of the model that is transferred from.
        model: the one that is transferred to.
    """
    named = {}
    for name, value in weights.items():
        for old, new in _OF_LANGUAGE_MODEL:
            name = old.sub(new, name)
        named[name] = value
    if any(".nbrnn." in name for name in model.state_dict()):
        return named
    return _single_layers(named)


def _single_layers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Layers of ``nbrnn`` as layers of their own, whose directions are added.

    An attention model lays both directions of a layer side by side, so that what reads
    them has weights for each. A Transducer adds the two: so the weights are added, too.
    """
    reverse_name = ".nbrnn.weight_ih_l0_reverse"
    two = {n.removesuffix(reverse_name) for n in weights if n.endswith(reverse_name)}
    named = {}
    for name, value in weights.items():
        found = _OF_ATTENTION_MODEL.match(name)
        if found:
            part, kind, layer, reverse = found.groups()
            fold = part in two and kind == "weight_ih" and layer != "0"
            rnn = "birnn" if part in two else "rnn"
            name = f"{part}.{rnn}{layer}.{kind}_l0{reverse or ''}"
        else:
            part, last, _ = name.partition(".l_last.weight")
            fold = part in two and bool(last)
        if fold:
            forward, backward = value.chunk(2, 1)
            value = forward + backward
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
