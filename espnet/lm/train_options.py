"""Options of ``lm_train.py``. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from espnet.lm.optimizer import OPTIMIZERS
from espnet.nets.pytorch_backend.lm.options import LANGUAGE_MODELS
from espnet.train.scheduler import option_names, parse_schedulers
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.options import (
    REQUIRED,
    OptionParser,
    add_options,
    option,
    parse_options,
)

TRAIN_DTYPES = ("float16", "bfloat16", "float32", "float64")

# options that a run may change and still continue from its own snapshots
MAY_CHANGE = frozenset(
    """config config2 config3 ngpu outdir debugmode dict resume verbose tensorboard_dir
    train_label valid_label test_label dump_hdf5_path epoch report_interval_iters
    early_stop_criterion patience version""".split()  # noqa: SIM905 (a table of words)
)


@dataclass(frozen=True, kw_only=True)
class LMTrainOptions:
    """What to train on, how, and where the results go."""

    ngpu: int | None = option(
        None, "number of GPUs, 0 is the CPU; if not given: one, if there is one"
    )
    train_dtype: str = option(
        "float32",
        "number format; the two of 16 bits are autocast and need a GPU",
        choices=TRAIN_DTYPES,
    )
    backend: str = option(
        "pytorch", "only pytorch is built", choices=("chainer", "pytorch")
    )
    outdir: str = option(REQUIRED, "directory for the results")
    debugmode: int = option(
        1,
        "0: fastest, not repeatable on a GPU; 1: repeatable cuDNN; 2: only repeatable "
        "algorithms, where torch has one",
        choices=(0, 1, 2),
    )
    dict: str = option(REQUIRED, "dictionary or word list, lines '<token> <id>'")
    seed: int = option(1, "of all random numbers")
    resume: str | None = option(
        "",
        "snapshot to continue from; if not given, the newest in outdir",
        aliases=("-r",),
        optional_value=True,
    )
    verbose: int = option(
        0, "0: warnings, 1: what happens, 2: details", aliases=("-V",)
    )
    tensorboard_dir: str | None = option(
        None, "directory for tensorboard's event files", optional_value=True
    )
    report_interval_iters: int = option(100, "iterations between two rows of the log")
    train_label: str = option(REQUIRED, "text, a sentence of tokens in each line")
    valid_label: str = option(REQUIRED, "text to validate on")
    test_label: str | None = option(
        None, "text whose perplexity is told at the end, of the best model"
    )
    dump_hdf5_path: str | None = option(
        None, "directory that keeps the texts' token ids (<file>.h5) for the next run"
    )
    opt: str = option("sgd", "optimizer", choices=OPTIMIZERS)
    sortagrad: int = option(
        0,
        "so many epochs start with the shortest sentences, -1: all epochs",
        optional_value=True,
    )
    batchsize: int = option(300, "sentences in a minibatch", aliases=("-b",))
    accum_grad: int = option(1, "minibatches per update")
    epoch: int = option(20, "epochs at most", aliases=("-e", "--epochs"))
    early_stop_criterion: str | None = option(
        "validation/main/loss",
        "value of the log that must improve; higher is better if its name has 'acc'",
        optional_value=True,
    )
    patience: int | None = option(
        3,
        "stop after so many epochs without improvement; 0: never",
        optional_value=True,
    )
    schedulers: list[str] = option(
        [], "<field of the optimizer>=<scheduler>: lr=noam, lr=cosine; repeatable"
    )
    gradclip: float = option(
        5.0, "largest norm of the gradient; 0: no limit", aliases=("-c", "--grad-clip")
    )
    maxlen: int = option(40, "fewer sentences for each multiple of this length")
    model_module: str = option(
        "default", f"{', '.join(LANGUAGE_MODELS)}, or package.module:Class"
    )

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        if self.backend == "chainer":
            raise UserError(
                "backend: only the pytorch backend is built; use --backend pytorch "
                "(models of Chainer have to be trained anew)"
            )
        if self.ngpu is not None and self.ngpu > 1:
            raise UserError(
                f"ngpu: {self.ngpu}: training on several GPUs is not built yet; "
                "use --ngpu 1"
            )
        least = {
            "ngpu": 0,
            "seed": 0,
            "sortagrad": -1,
            "batchsize": 1,
            "accum_grad": 1,
            "epoch": 1,
            "maxlen": 1,
            "report_interval_iters": 1,
            "patience": 0,
            "gradclip": 0,
        }
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                flag = name.replace("_", "-")
                raise UserError(f"{flag}: {value} must be {lowest} or more")
        parse_schedulers(self.schedulers)


def add_further_options(parser: OptionParser, args: Namespace) -> None:
    """Add the options of the chosen optimizer, schedulers and model.

    A model of the toolkit is not imported for that; a plug-in is.

    Raises:
        UserError: no such model, optimizer or scheduler.
    """
    add_options(parser, OPTIMIZERS[args.opt], f"options of --opt {args.opt}")
    for key, name in parse_schedulers(args.schedulers or []).items():
        group = parser.add_argument_group(f"options of --schedulers {key}={name}")
        for dest, number in option_names(key, name).items():
            flag = "--" + dest.replace("_", "-")
            group.add_argument(
                flag, dest=dest, type=int, default=number.default, help=number.help
            )
    path = args.model_module
    if path in LANGUAGE_MODELS:
        add_options(parser, LANGUAGE_MODELS[path].options, f"options of {path}")
        return
    if ":" not in path:
        raise UserError(
            f"model-module: '{path}' is none of {', '.join(LANGUAGE_MODELS)}, nor a "
            "package.module:Class"
        )
    model_class = dynamic_import(path, "model-module")
    if not hasattr(model_class, "add_arguments"):
        raise UserError(
            f"model-module: '{path}' is no language model: it has no "
            "add_arguments(parser); derive it from espnet.nets.lm_interface.LMInterface"
        )
    model_class.add_arguments(parser)


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
