"""Options of ``lm_train.py``. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from espnet.lm.optimizer import OPTIMIZERS, PlugInOptions
from espnet.nets.pytorch_backend.lm.options import LANGUAGE_MODELS
from espnet.train.optimizer import parse_name
from espnet.train.options import MAY_CHANGE as COMMON_MAY_CHANGE
from espnet.train.options import (
    TrainingOptions,
    add_plug_in_options,
    add_scheduler_options,
)
from espnet.utils.errors import UserError
from espnet.utils.options import (
    REQUIRED,
    OptionParser,
    add_options,
    option,
    parse_options,
)

# options that a run may change and still continue from its own snapshots
MAY_CHANGE = COMMON_MAY_CHANGE | frozenset(
    ["train_label", "valid_label", "test_label", "dump_hdf5_path", "epoch"]
)


@dataclass(frozen=True, kw_only=True)
class LMTrainOptions(TrainingOptions):
    """What to train a language model on, and how."""

    train_label: str = option(REQUIRED, "text, a sentence of tokens in each line")
    valid_label: str = option(REQUIRED, "text to validate on")
    test_label: str | None = option(
        None, "text whose perplexity is told at the end, of the best model"
    )
    dump_hdf5_path: str | None = option(
        None, "directory that keeps the texts' token ids (<file>.h5) for the next run"
    )
    opt: str = option(
        "sgd",
        f"optimizer: {', '.join(OPTIMIZERS)}, or package.module:Class",
        parse=lambda text: parse_name(text, OPTIMIZERS),
    )
    batchsize: int = option(300, "sentences in a minibatch", aliases=("-b",))
    epoch: int = option(20, "epochs at most", aliases=("-e", "--epochs"))
    gradclip: float = option(
        5.0, "largest norm of the gradient; 0: no limit", aliases=("-c", "--grad-clip")
    )
    maxlen: int = option(40, "fewer sentences for each multiple of this length")
    model_module: str = option(
        "default", f"{', '.join(LANGUAGE_MODELS)}, or package.module:Class"
    )

    LEAST: ClassVar[Mapping[str, float]] = {
        **TrainingOptions.LEAST,
        "batchsize": 1,
        "epoch": 1,
        "maxlen": 1,
        "gradclip": 0,
    }


def add_further_options(parser: OptionParser, args: Namespace) -> None:
    """Add the options of the chosen optimizer, schedulers and model.

    A model of the toolkit is not imported for that; a plug-in is.

    Raises:
        UserError: no such model, optimizer or scheduler.
    """
    numbers = OPTIMIZERS.get(args.opt, PlugInOptions)
    add_options(parser, numbers, f"options of --opt {args.opt}")
    add_scheduler_options(parser, args)
    path = args.model_module
    if path in LANGUAGE_MODELS:
        add_options(parser, LANGUAGE_MODELS[path].options, f"options of {path}")
        return
    if ":" not in path:
        raise UserError(
            f"model-module: '{path}' is none of {', '.join(LANGUAGE_MODELS)}, nor a "
            "package.module:Class"
        )
    base = "espnet.nets.lm_interface.LMInterface"
    add_plug_in_options(parser, path, "language model", base)


def parse_lm_train_options(
    argv: Sequence[str] | None, prog: str = "lm_train.py"
) -> Namespace:
    """Read a command line and its configs.

    Raises:
        UserError: a config file is missing or wrong, or values do not fit together.
    """
    return parse_options(
        [LMTrainOptions],
        argv,
        prog=prog,
        description="Train a language model.",
        config_files=True,
        more=add_further_options,
    )
