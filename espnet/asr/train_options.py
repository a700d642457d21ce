"""Options of ``asr_train.py``. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.train.optimizer import OPTIMIZERS, parse_name
from espnet.train.options import MAY_CHANGE as COMMON_MAY_CHANGE
from espnet.train.options import (
    TrainingOptions,
    add_plug_in_options,
    add_scheduler_options,
)
from espnet.utils.batchfy import BATCH_COUNTS, BatchLimits
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.option_values import parse_bool
from espnet.utils.options import (
    OptionParser,
    add_options,
    option,
    option_like,
    parse_options,
)

DEFAULT_MODEL = "espnet.nets.pytorch_backend.e2e_asr:E2E"

# the options of the models that come with the toolkit, to be had without torch
_LIBRARY = "espnet.nets.pytorch_backend"
MODEL_OPTIONS = {
    DEFAULT_MODEL: f"{_LIBRARY}.rnn.options:RNNOptions",
    f"{_LIBRARY}.e2e_asr_transformer:E2E": (
        f"{_LIBRARY}.transformer.options:TransformerOptions"
    ),
    f"{_LIBRARY}.e2e_asr_conformer:E2E": (
        f"{_LIBRARY}.conformer.options:ConformerOptions"
    ),
    f"{_LIBRARY}.e2e_asr_transducer:E2E": (
        f"{_LIBRARY}.transducer.options:TransducerOptions"
    ),
}

CRITERIA = ("loss", "loss_eps_decay_only", "acc")

# options that a run may change and still continue from its own snapshots
MAY_CHANGE = COMMON_MAY_CHANGE | frozenset(
    """debugdir save_interval_iters train_json valid_json
    n_iter_processes epochs num_save_attention num_save_ctc threshold
    trust_checkpoint""".split()  # noqa: SIM905 (a table of words)
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainingOptions):
    """What to train a recogniser on, and how."""

    debugdir: str | None = option(None, "recorded in model.json, has no effect")
    minibatches: int = option(
        -1,
        "use only the first so many minibatches of both sets, if above 0",
        aliases=("-N",),
    )
    save_interval_iters: int = option(
        0, "if above 0: validate and write snapshot.iter.N every so many iterations"
    )
    train_json: str | None = option(None, "data.json to train on")
    valid_json: str | None = option(None, "data.json to validate on")
    model_module: str = option(DEFAULT_MODEL, "the model's class: package.module:Class")
    num_encs: int = option(
        1, "number of input streams; several need a model-module of yours"
    )
    num_spkrs: int = option(1, "number of speakers at once", choices=(1,))
    use_frontend: bool = option(
        False, "only false: the multichannel front end is not built", parse=parse_bool
    )
    batch_count: str = option(
        "auto",
        "what limits a minibatch; auto: the first of seq, bin, frame that has a number",
        choices=("auto", *BATCH_COUNTS),
    )
    batch_size: int = option(
        0, "seq: sequences in a minibatch", aliases=("--batch-seqs", "-b")
    )
    batch_bins: int = option(
        0, "bin: (longest input x its size + longest output x its size) x sequences"
    )
    batch_frames_in: int = option(0, "frame: longest input x sequences")
    batch_frames_out: int = option(0, "frame: longest output x sequences")
    batch_frames_inout: int = option(0, "frame: (longest input + output) x sequences")
    maxlen_in: int = option(
        800,
        "seq: fewer sequences for each multiple of this input length",
        aliases=("--batch-seq-maxlen-in",),
    )
    maxlen_out: int = option(
        150,
        "seq: fewer sequences for each multiple of this output length",
        aliases=("--batch-seq-maxlen-out",),
    )
    n_iter_processes: int = option(
        0, "processes that read data ahead, two minibatches each; 0: none"
    )
    skip_bad_utterances: bool = option(
        False,
        "name and leave out utterances that cannot be read, instead of stopping",
        parse=parse_bool,
    )
    preprocess_conf: str | None = option(
        None, "YAML file of on-the-fly preprocessing", optional_value=True
    )
    opt: str = option(
        "adadelta",
        f"optimizer: {', '.join(OPTIMIZERS)}, or package.module:Class",
        parse=parse_name,
    )
    lr: float | None = option(
        None, "learning rate (default: 1 of adadelta, 1e-3 of adam and adamw)"
    )
    eps: float = option(1e-8, "adadelta's epsilon")
    eps_decay: float = option(0.01, "factor on adadelta's epsilon, see criterion")
    weight_decay: float = option(0.0, "of adadelta, adam and adamw")
    criterion: str = option(
        "acc",
        "adadelta: if this got worse in validation, epsilon decays and (but for "
        "loss_eps_decay_only) the best weights are put back",
        choices=CRITERIA,
    )
    threshold: float = option(1e-4, "has no effect, as in ESPnet1")
    epochs: int = option(30, "epochs at most", aliases=("-e",))
    early_stop_criterion: str | None = option_like(
        TrainingOptions, "early_stop_criterion", default="validation/main/acc"
    )
    grad_clip: float = option(5.0, "largest norm of the gradient; 0: no limit")
    grad_noise: bool = option(
        False, "add Gaussian noise that fades out to gradients", parse=parse_bool
    )
    num_save_attention: int = option(
        3, "validation utterances whose attention is drawn each epoch"
    )
    num_save_ctc: int = option(
        3, "validation utterances whose CTC posteriors are drawn each epoch"
    )

    LEAST: ClassVar[Mapping[str, float]] = {
        **TrainingOptions.LEAST,
        "eps": 0,
        "eps_decay": 0,
        "weight_decay": 0,
        "epochs": 1,
        "grad_clip": 0,
        "maxlen_in": 1,
        "maxlen_out": 1,
        "save_interval_iters": 0,
        "n_iter_processes": 0,
        "num_encs": 1,
        "num_save_attention": 0,
        "num_save_ctc": 0,
    }

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        super().check()
        if self.use_frontend:
            raise UserError(
                "use-frontend: the multichannel front end is not built; leave it "
                "out and train on features of one channel"
            )
        if self.num_encs > 1 and self.model_module in MODEL_OPTIONS:
            raise UserError(
                f"num-encs: {self.num_encs}: {self.model_module} has one input; name a "
                "model of several by --model-module, or leave num-encs out"
            )
        if self.lr is not None and not self.lr > 0:
            raise UserError(f"lr: {self.lr} must be above 0")
        self.batch_limits().mode()

    def batch_limits(self, processes: int = 1) -> BatchLimits:
        """The options that say when a minibatch, which processes share, is full."""
        times = processes if self.use_ddp else 1
        return BatchLimits(
            count=self.batch_count,
            batch_size=self.batch_size * processes,
            max_length_in=self.maxlen_in,
            max_length_out=self.maxlen_out,
            batch_bins=self.batch_bins * times,
            batch_frames_in=self.batch_frames_in * times,
            batch_frames_out=self.batch_frames_out * times,
            batch_frames_inout=self.batch_frames_inout * times,
        )


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """What to start from, and what not to train (finetuning)."""

    enc_init: str | None = option(
        None, "model or snapshot to take the encoder from", optional_value=True
    )
    enc_init_mods: tuple[str, ...] = option(
        ("enc.enc.",), "beginnings of the parameter names to take, joined by commas"
    )
    dec_init: str | None = option(
        None, "model or snapshot to take the decoder from", optional_value=True
    )
    dec_init_mods: tuple[str, ...] = option(
        ("att.", "dec."), "beginnings of the parameter names to take"
    )
    freeze_mods: tuple[str, ...] = option(
        (), "beginnings of the names of parameters that are not trained"
    )
    init_map_tokens: bool = option(
        False,
        "rows of embeddings and output layers are taken by token, for a model of "
        "another vocabulary; needs the model.json beside enc-init and dec-init",
        parse=parse_bool,
    )
    trust_checkpoint: bool = option(
        False, "unpickle a model file of ESPnet1 that holds more than tensors"
    )


def add_model_options(parser: OptionParser, args: Namespace) -> None:
    """Add the options of the model that ``--model-module`` names.

    A model of the toolkit is not imported for that; a plug-in is, and its
    ``add_arguments`` (by default the fields of its ``Config``) says what it takes.

    Raises:
        UserError: no such module or class, or not a model.
    """
    add_scheduler_options(parser, args)
    add_options(parser, HybridOptions, "CTC/attention training")
    path = args.model_module
    for name, owners in model_options().items():
        parser.elsewhere[name] = f"{' and '.join(owners)}, the model is {path}"
    if path in MODEL_OPTIONS:
        config = dynamic_import(MODEL_OPTIONS[path])
        add_options(parser, config, f"options of {path}")
        return
    base = "espnet.nets.asr_interface.ASRInterface"
    add_plug_in_options(parser, path, "recogniser", base)


def model_options() -> dict[str, list[str]]:
    """The options of the toolkit's models -> the models that have them."""
    owners: dict[str, list[str]] = {}
    for path, config in MODEL_OPTIONS.items():
        for field in fields(dynamic_import(config)):
            owners.setdefault(field.name.replace("_", "-"), []).append(
                path.removeprefix(f"{_LIBRARY}.")
            )
    return owners


def parse_train_options(
    argv: Sequence[str] | None, prog: str = "asr_train.py"
) -> Namespace:
    """Read a command line and its configs: training, CTC/attention, the model's own.

    Raises:
        UserError: a config file is missing or wrong, or values do not fit together.
    """
    return parse_options(
        [TrainOptions, InitOptions],
        argv,
        prog=prog,
        description="Train a speech recogniser.",
        config_files=True,
        more=add_model_options,
    )
