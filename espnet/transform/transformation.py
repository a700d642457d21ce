"""On-the-fly preprocessing: the steps that a file such as conf/specaug.yaml lists.

    mode: sequential
    process:
      - {type: time_warp, max_time_warp: 5}
      - {type: freq_mask, F: 30, n_mask: 2}
      - {type: "my_package.my_module:MyStep", strength: 3}

A step is a class whose constructor takes the parameters and whose instances are called
with an array, or a function that takes the array and then the parameters. Arguments
named ``uttid``, ``train`` and ``rng`` (a numpy Generator) are passed where accepted.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from espnet.transform.basic import ChannelSelector, Delta, identity
from espnet.transform.cmvn import CMVN, UtteranceCMVN
from espnet.transform.perturbation import (
    BandpassPerturbation,
    NoiseInjection,
    RIRConvolve,
    SpeedPerturbation,
    VolumePerturbation,
)
from espnet.transform.spec_augment import FreqMask, SpecAugment, TimeMask, TimeWarp
from espnet.transform.spectrogram import (
    IStft,
    LogMelSpectrogram,
    Spectrogram,
    Stft,
    StftToLogMel,
)
from espnet.transform.wpe import WPE
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError, did_you_mean, one_of
from espnet.utils.yaml_files import read_yaml

TRANSFORMS: dict[str, Callable[..., Any]] = {
    "identity": identity,
    "time_warp": TimeWarp,
    "freq_mask": FreqMask,
    "time_mask": TimeMask,
    "spec_augment": SpecAugment,
    "speed_perturbation": SpeedPerturbation,
    "volume_perturbation": VolumePerturbation,
    "noise_injection": NoiseInjection,
    "bandpass_perturbation": BandpassPerturbation,
    "rir_convolve": RIRConvolve,
    "delta": Delta,
    "cmvn": CMVN,
    "utterance_cmvn": UtteranceCMVN,
    "fbank": LogMelSpectrogram,
    "spectrogram": Spectrogram,
    "stft": Stft,
    "istft": IStft,
    "stft2fbank": StftToLogMel,
    "wpe": WPE,
    "channel_selector": ChannelSelector,
}
MODES = ("sequential",)
GIVEN = ("uttid", "train", "rng")  # what a step gets besides the array


class Transformation:
    """A chain of steps, each applied to each array.

    Args:
        conf: a YAML or JSON file, or what it holds: ``{mode, process: [{type, ...}]}``.
        seed: of the random numbers, until :meth:`reseed`.

    Raises:
        UserError: the file cannot be read; a step's type or a parameter is unknown,
            missing or wrong. File and number of the step are named.
    """

    def __init__(self, conf: str | Path | Mapping[str, Any], seed: int = 0) -> None:
        name = "preprocess-conf" if isinstance(conf, Mapping) else str(conf)
        content = conf if isinstance(conf, Mapping) else read_yaml(conf)
        unknown = [key for key in content if key not in ("mode", "process")]
        if unknown:
            hint = did_you_mean(str(unknown[0]), ["mode", "process"])
            raise UserError(f"{name}: unknown key '{unknown[0]}'{hint}")
        mode = content.get("mode", MODES[0])
        if mode not in MODES:
            raise UserError(f"{name}: " + one_of("mode", mode, MODES))
        process = content.get("process")
        if not isinstance(process, Sequence) or isinstance(process, str):
            raise UserError(f"{name}: process: must be a list of steps, is {process!r}")
        self.steps = [_Step(s, f"{name}: step {k}") for k, s in enumerate(process, 1)]
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the random numbers anew.

        What follows depends on ``seed`` alone. Each step has numbers of its own, so
        that a step more or less does not change those of the others.
        """
        self.rngs = [
            np.random.default_rng([seed, number, step.seed])
            for number, step in enumerate(self.steps)
        ]

    def __call__(
        self,
        xs: Sequence[np.ndarray],
        uttids: Sequence[str] | None = None,
        train: bool = True,
    ) -> list[np.ndarray]:
        """Process arrays one by one, in order.

        Args:
            xs: arrays, the time axis first: features (T, D), sound (samples,) or
                (samples, channels).
            uttids: an id for each, for steps that look something up.
            train: whether steps that augment are active.
        """
        names = [None] * len(xs) if uttids is None else list(uttids)
        return [self._one(x, name, train) for x, name in zip(xs, names, strict=True)]

    def _one(self, x: np.ndarray, uttid: str | None, train: bool) -> np.ndarray:
        for step, rng in zip(self.steps, self.rngs, strict=True):
            values = {"uttid": uttid, "train": train, "rng": rng}
            x = step(x, {name: values[name] for name in step.accepted})
        return x


def utterance_chain(
    conf: str | Path, *, train: bool = True
) -> Callable[[str, np.ndarray], np.ndarray]:
    """The chain of a file as a function (utterance, array) -> array, for commands."""
    chain = Transformation(conf)
    return lambda utterance, x: chain([x], [utterance], train)[0]


class _Step:
    """One entry of ``process``: the function, and which of ``GIVEN`` it accepts."""

    def __init__(self, conf: Any, place: str) -> None:
        if not isinstance(conf, Mapping) or not isinstance(conf.get("type"), str):
            raise UserError(f"{place}: must be a mapping with a 'type', is {conf!r}")
        name = conf["type"]
        place = f"{place} ({name})"
        if ":" in name:
            target = dynamic_import(name, place)
        elif name in TRANSFORMS:
            target = TRANSFORMS[name]
        else:
            raise UserError(
                f"{place}: " + one_of("type", name, TRANSFORMS) + ", or package.module"
                ":Class"
            )
        given = {key: value for key, value in conf.items() if key != "type"}
        is_class = inspect.isclass(target)
        parameters = _checked(target, given, place, skip=0 if is_class else 1)
        try:
            self.function = (
                target(**parameters) if is_class else partial(target, **parameters)
            )
        except (ValueError, UserError) as error:
            raise UserError(f"{place}: {error}") from None
        self.accepted = _accepted(self.function)
        self.place = place
        self.is_ours = ":" not in name
        seed = parameters.get("seed")
        self.seed = seed if isinstance(seed, int) and seed >= 0 else 0

    def __call__(self, x: np.ndarray, values: Mapping[str, Any]) -> np.ndarray:
        """Process an array.

        Raises:
            UserError: it is not what this step is for, or a parameter is wrong. Errors
                of the user's own steps come as they are.
        """
        try:
            return self.function(x, **values)
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            if not self.is_ours:
                raise
            raise UserError(
                f"{self.place}: cannot process an array of shape {x.shape} ({error}); "
                "are the steps in the right order, and their parameters right?"
            ) from error


def _accepted(function: Callable[..., Any]) -> list[str]:
    """Those of ``GIVEN`` that may be passed, and are not bound already."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return list(GIVEN)
    return [name for name in GIVEN if name in parameters]


def _checked(
    target: Callable[..., Any], given: Mapping[str, Any], place: str, skip: int
) -> dict[str, Any]:
    """The parameters, unless one is unknown, missing or of another type.

    ``skip`` parameters come first and are not the user's (the array of a function).
    """
    parameters = list(inspect.signature(target).parameters.values())[skip:]
    names = [p.name for p in parameters if p.name not in GIVEN]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in given:
        if name not in names and not open_ended:
            hint = did_you_mean(str(name), names) or (
                f" (it has {', '.join(names)})" if names else " (it has none)"
            )
            raise UserError(f"{place}: unknown parameter '{name}'{hint}")
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    for p in parameters:
        optional = p.default is not p.empty or p.kind in kinds or p.name in GIVEN
        if p.name not in given and not optional:
            raise UserError(f"{place}: parameter '{p.name}' is missing")
    hints = _type_hints(target)
    return {k: _typed(hints.get(k), v, f"{place}: {k}") for k, v in given.items()}


def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Annotated types of the parameters; empty where a plug-in's cannot be resolved."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _typed(hint: Any, value: Any, place: str) -> Any:
    """A value of the annotated type, where that is a plain one."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if is_union else (hint,)
    if not all(kind in PLAIN or kind is type(None) for kind in kinds):
        return value
    if type(value) in kinds or (type(value) is int and float in kinds):
        return value
    if float in kinds and isinstance(value, str):
        with suppress(ValueError):
            return float(value)  # YAML takes 1e-10, without a point, for text
    names = [PLAIN.get(kind, "null") for kind in kinds]
    raise UserError(f"{place}: {value!r} must be {' or '.join(names)}")
