"""Load a trained recogniser: its weights, and the model.json that rebuilds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet.nets.asr_interface import ASRInterface
from espnet.train.weights import check_finite, load_weights, read_weights
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError

DEFAULT_MODEL = "espnet.nets.pytorch_backend.e2e_asr:E2E"
WANTED = (
    "--model wants model.loss.best, model.acc.best, an averaged model or snapshot.ep.N"
)
# the only values of these options whose models are built
UNBUILT = {"num_spkrs": 1, "num_encs": 1, "use_frontend": False}


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
    weights = read_weights(path, trust, WANTED)
    config = load_trained_config(conf)
    model = build_trained(config, conf)
    remedy = "give the right --model or --model-conf"
    load_weights(model, weights, str(path), str(conf), remedy)
    check_finite(model, str(path))
    return model.eval(), config


def build_trained(config: TrainedConfig, conf: Path) -> ASRInterface:
    """The model that a model.json describes, with random weights.

    Options that it lacks, or that are null, have the values of the versions before
    them, which are today's defaults (``rel_pos_type``: legacy).

    Raises:
        UserError: no such model, or options that do not go together.
    """
    name = config.args.get("model_module") or DEFAULT_MODEL
    if "chainer_backend" in name:  # "backend" may be a default that was not used
        raise UserError(
            f"{conf}: model_module '{name}' is a Chainer model; only pytorch is built, "
            f"train it anew"
        )
    for option, allowed in UNBUILT.items():
        value = config.args.get(option)
        if value and value != allowed:
            raise UserError(
                f"{conf}: {option} {value}: such a model is not built, only {option} "
                f"{allowed}"
            )
    model_class = dynamic_import(name, f"{conf}: model_module")
    if not (isinstance(model_class, type) and issubclass(model_class, ASRInterface)):
        raise UserError(f"{conf}: model_module '{name}' is no recogniser")
    given = {key: value for key, value in config.args.items() if value is not None}
    try:
        return model_class.build(config.idim, config.odim, **given)
    except UserError as error:
        raise UserError(f"{conf}: {error}") from None
