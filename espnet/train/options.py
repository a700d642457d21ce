"""Options that every training has, declared once. Imports no torch."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from espnet.train.scheduler import SCHEDULERS, option_names, parse_schedulers
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.option_values import parse_bool
from espnet.utils.options import REQUIRED, OptionParser, option

# Apex's levels, as ESPnet1 had them -> the format that is autocast to
OPTIMIZATION_LEVELS = {
    "O0": "float32",
    "O1": "float16",
    "O2": "float16",
    "O3": "float16",
}
TRAIN_DTYPES = ("float16", "bfloat16", "float32", "float64", *OPTIMIZATION_LEVELS)

# options that a run may change and still continue from its own snapshots
MAY_CHANGE = frozenset(
    """config config2 config3 ngpu num_procs num_nodes use_ddp outdir debugmode dict
    resume verbose tensorboard_dir report_interval_iters early_stop_criterion patience
    keep_snapshots max_nan_steps watchdog version""".split()  # noqa: SIM905 (a table of words)
)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train, whatever the task, and where the results go."""

    ngpu: int | None = option(
        None,
        "number of GPUs (on each node), 0 is the CPU; if not given: one, if there is "
        "one",
    )
    num_procs: int = option(
        1, "number of processes on the CPU (on each node), with --ngpu 0"
    )
    num_nodes: int = option(
        1, "number of machines; start the command on each with srun, or with torchrun"
    )
    use_ddp: bool = option(
        False,
        "bins and frames of a minibatch are those of each process, as its sequences "
        "always are; otherwise, of all processes together",
        parse=parse_bool,
    )
    train_dtype: str = option(
        "float32",
        "number format; the two of 16 bits are autocast, float16 needs a GPU; O0 to O3 "
        "of ESPnet1 stand for float32 (O0) and float16",
        choices=TRAIN_DTYPES,
    )
    tf32: bool = option(
        False, "let GPUs round factors of float32 products to 10 bits", parse=parse_bool
    )
    compile: bool = option(
        False,
        "let torch.compile rewrite the model; needs a GPU and a C++ compiler",
        parse=parse_bool,
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
    dict: str = option(REQUIRED, "dictionary, lines '<token> <id>'")
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
    sortagrad: int = option(
        0,
        "so many epochs start with the shortest sequences, -1: all epochs",
        optional_value=True,
    )
    accum_grad: int = option(1, "minibatches per update")
    keep_snapshots: int = option(
        0,
        "keep only the newest so many snapshot.ep.N, and as many snapshot.iter.N; at "
        "least 2; 0 keeps all",
    )
    max_nan_steps: int = option(
        20,
        "stop after so many updates in a row whose loss or gradient is not finite",
    )
    watchdog: float = option(
        1800, "print where every process is after so many seconds without a step; 0: no"
    )
    schedulers: list[str] = option(
        [],
        f"<field of the optimizer>=<scheduler>, like lr=noam; {', '.join(SCHEDULERS)}, "
        "or package.module:function; repeatable",
    )
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

    # the smallest value of each number; a task adds its own
    LEAST: ClassVar[Mapping[str, float]] = {
        "ngpu": 0,
        "num_procs": 1,
        "num_nodes": 1,
        "keep_snapshots": 0,
        "max_nan_steps": 1,
        "watchdog": 0,
        "seed": 0,
        "sortagrad": -1,
        "accum_grad": 1,
        "report_interval_iters": 1,
        "patience": 0,
    }

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        if self.backend == "chainer":
            raise UserError(
                "backend: only the pytorch backend is built; use --backend pytorch "
                "(models of Chainer have to be trained anew)"
            )
        for name, lowest in self.LEAST.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                flag = name.replace("_", "-")
                raise UserError(f"{flag}: {value} must be {lowest} or more")
        if self.num_procs > 1 and self.ngpu != 0:
            raise UserError(
                f"num-procs: {self.num_procs} processes train on the CPU only with "
                "--ngpu 0; GPUs are counted by --ngpu"
            )
        if self.keep_snapshots == 1:
            raise UserError(
                "keep-snapshots: 1 leaves none to go back to if a disk is full; use 2"
            )
        parse_schedulers(self.schedulers)


def add_plug_in_options(parser: OptionParser, path: str, what: str, base: str) -> None:
    """Add what a model of the user's takes.

    Args:
        parser: of the command.
        path: ``package.module:Class``.
        what: it must be, such as ``recogniser``.
        base: the class that it should be derived from.

    Raises:
        UserError: there is no such class, or it does not say what it takes.
    """
    model_class = dynamic_import(path, "model-module")
    if not hasattr(model_class, "add_arguments"):
        raise UserError(
            f"model-module: '{path}' is no {what}: it has no add_arguments(parser); "
            f"derive it from {base}"
        )
    model_class.add_arguments(parser)


def add_scheduler_options(parser: OptionParser, args: Namespace) -> None:
    """Add the numbers of the schedulers that ``--schedulers`` names.

    Raises:
        UserError: there is no such scheduler.
    """
    for key, name in parse_schedulers(args.schedulers or []).items():
        group = parser.add_argument_group(f"options of --schedulers {key}={name}")
        for dest, number in option_names(key, name).items():
            flag = "--" + dest.replace("_", "-")
            group.add_argument(
                flag, dest=dest, type=int, default=number.default, help=number.help
            )
