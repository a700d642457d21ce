"""What every training does before its first minibatch."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet.train.options import OPTIMIZATION_LEVELS, TrainingOptions
from espnet.train.settings import Precision
from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write

MODEL_JSON = "model.json"
AUTOCAST = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def set_up(options: TrainingOptions) -> Precision:
    """Prepare torch as options say; the device and number format of the model.

    Raises:
        UserError: this machine does not have what they name.
    """
    precision = choose_precision(options.ngpu, options.train_dtype)
    set_up_torch(options.seed, options.debugmode)
    allow_tf32(options.tf32)
    return precision


def choose_precision(ngpu: int | None, train_dtype: str) -> Precision:
    """Device and number format.

    Args:
        ngpu: GPUs to use; None: one, if there is one.
        train_dtype: the format; those of 16 bits are autocast.

    Raises:
        UserError: a GPU is asked for where there is none, or float16 on the CPU, whose
            products it makes slower, not faster.
    """
    if train_dtype in OPTIMIZATION_LEVELS:
        level, train_dtype = train_dtype, OPTIMIZATION_LEVELS[train_dtype]
        means = "torch's autocast, with parameters in float32"
        logging.warning(
            "train-dtype: %s, a level of NVIDIA Apex, is --train-dtype %s here%s",
            *(level, train_dtype, f": {means}" if train_dtype in AUTOCAST else ""),
        )
    available = torch.cuda.is_available()
    count = int(available) if ngpu is None else ngpu
    if count and not available:
        raise UserError(
            f"ngpu: {count}: torch {torch.__version__} sees no GPU here; use --ngpu 0 "
            "to train on the CPU"
        )
    device = torch.device("cuda" if count else "cpu")
    autocast = AUTOCAST.get(train_dtype)
    if autocast is torch.float16 and not count:
        raise UserError(
            "train-dtype: float16 needs a GPU; use float32 or bfloat16 on the CPU"
        )
    dtype = torch.float64 if train_dtype == "float64" else torch.float32
    return Precision(device, dtype, autocast)


def set_up_torch(seed: int, debugmode: int) -> None:
    """Seeds, and whether results are to be repeatable (0: no, 1: cuDNN, 2: all)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = debugmode > 0
    torch.backends.cudnn.benchmark = debugmode == 0
    repeatable = debugmode > 1
    # to switch imports torch's compiler, which takes as long as torch itself
    if torch.are_deterministic_algorithms_enabled() != repeatable:
        torch.use_deterministic_algorithms(repeatable, warn_only=True)


def allow_tf32(is_allowed: bool) -> None:
    """Whether a GPU may round factors of float32 products, for several times the speed.

    It keeps 10 bits of the mantissa where float32 has 23.
    """
    torch.set_float32_matmul_precision("high" if is_allowed else "highest")
    torch.backends.cudnn.allow_tf32 = is_allowed


def compile_model(model: torch.nn.Module, kind: str) -> None:
    """Let torch.compile rewrite a model's ``forward``; names of parameters stay.

    Lengths differ from minibatch to minibatch, so shapes are left open. Parts of a
    model that the compiler fails on run as they are.

    Args:
        model: on its device.
        kind: of the device, ``cuda`` or ``cpu``.

    Raises:
        UserError: there is no C++ compiler, which it needs; or on the CPU, where torch
            2.13 takes minutes and then fails on the gradient of a Transformer.
    """
    if kind == "cpu":
        raise UserError(
            "compile: true is for GPUs; on the CPU compiling takes longer than it "
            "saves, and fails with some models; leave it out"
        )
    compilers = [os.environ.get("CXX") or "g++", "c++", "clang++"]
    if not any(map(shutil.which, compilers)):
        raise UserError(
            "compile: torch.compile needs a C++ compiler, and none of "
            f"{', '.join(compilers)} is on PATH; install g++, or leave --compile out"
        )
    # it would tell of every line that it leaves to Python
    for part in ("_dynamo", "_functorch", "_inductor"):
        logging.getLogger(f"torch.{part}").setLevel(logging.ERROR)
    model.compile(dynamic=True)
    torch._dynamo.config.suppress_errors = True


def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they will be read from model.json."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return plain


def check_outdir(
    outdir: Path,
    sizes: list[int],
    values: Mapping[str, Any],
    may_change: Collection[str],
) -> None:
    """Make sure that snapshots in ``outdir`` are of a run with the same options.

    Args:
        outdir: perhaps with a model.json, ``[*sizes, values]`` or ``values`` alone.
        sizes: of input and output, where model.json holds them.
        values: every option.
        may_change: the options that make no difference.

    Raises:
        UserError: they are not; the message names what differs.
    """
    path = outdir / MODEL_JSON
    if not path.is_file() or not any(outdir.glob("snapshot.*")):
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        *old_sizes, old_values = content if sizes else [content]
        old = dict(old_values)
    except (ValueError, LookupError, TypeError):
        logging.warning("%s: is damaged, written again", path)
        return
    differing = [
        f"{name.replace('_', '-')}: {_short(old[name])} there, {_short(value)} now"
        for name, value in values.items()
        if name not in may_change and name in old
        # an option without a value, 0 and false all say no
        if old[name] != value and (old[name] or value)
    ]
    if old_sizes != sizes:
        differing.append(f"input and output size: {old_sizes} there, {sizes} now")
    if differing:
        raise UserError(
            f"outdir: {outdir} holds snapshots of a run with other options "
            f"({'; '.join(differing[:5])}); use another --outdir or delete them"
        )


def write_model_json(outdir: Path, content: Any) -> None:
    """Write what rebuilds the model."""
    with atomic_write(outdir / MODEL_JSON) as stream:
        json.dump(content, stream, indent=4, sort_keys=True, ensure_ascii=False)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def size_of(model: torch.nn.Module) -> str:
    """``1,234 parameters``, and how many of them are trained if not all."""
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    share = "" if trained == total else f", {trained:,} of them trained"
    return f"{total:,} parameters{share}"


def describe_device(precision: Precision, train_dtype: str) -> str:
    """``device: cpu, 2 threads, float32``."""
    name = OPTIMIZATION_LEVELS.get(train_dtype, train_dtype)
    if precision.device.type != "cpu":
        return f"device: {precision.device}, {name}"
    count = torch.get_num_threads()
    return f"device: cpu, {count} thread{'s' if count > 1 else ''}, {name}"
