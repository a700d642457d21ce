"""Options of ``asr_train.py``. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.train.optimizer import OPTIMIZERS
from espnet.utils.batchfy import BATCH_COUNTS, BatchLimits
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.options import (
    REQUIRED,
    OptionParser,
    add_options,
    option,
    parse_bool,
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

TRAIN_DTYPES = ("float16", "bfloat16", "float32", "float64")
CRITERIA = ("loss", "loss_eps_decay_only", "acc")

# options that a run may change and still continue from its own snapshots
MAY_CHANGE = frozenset(
    """config config2 config3 ngpu outdir debugmode dict debugdir resume verbose
    tensorboard_dir save_interval_iters keep_snapshots train_json valid_json
    n_iter_processes epochs report_interval_iters early_stop_criterion patience
    num_save_attention num_save_ctc threshold trust_checkpoint version""".split()  # noqa: SIM905 (a table of words)
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
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
    outdir: str = option(REQUIRED, "directory for the results: exp/<name>/results")
    debugmode: int = option(
        1,
        "0: fastest, not repeatable on a GPU; 1: repeatable cuDNN; 2: only repeatable "
        "algorithms, where torch has one",
        choices=(0, 1, 2),
    )
    dict: str = option(REQUIRED, "dictionary, lines '<token> <id>'")
    seed: int = option(1, "of all random numbers")
    debugdir: str | None = option(None, "recorded in model.json, has no effect")
    resume: str | None = option(
        "",
        "snapshot to continue from; if not given, the newest in outdir",
        aliases=("-r",),
        optional_value=True,
    )
    minibatches: int = option(
        -1,
        "use only the first so many minibatches of both sets, if above 0",
        aliases=("-N",),
    )
    verbose: int = option(
        0, "0: warnings, 1: what happens, 2: details", aliases=("-V",)
    )
    tensorboard_dir: str | None = option(
        None, "directory for tensorboard's event files", optional_value=True
    )
    report_interval_iters: int = option(100, "iterations between two rows of the log")
    save_interval_iters: int = option(
        0, "if above 0: validate and write snapshot.iter.N every so many iterations"
    )
    keep_snapshots: int = option(
        0, "keep only the newest so many snapshot.ep.N, at least 2; 0 keeps all"
    )
    train_json: str | None = option(None, "data.json to train on")
    valid_json: str | None = option(None, "data.json to validate on")
    model_module: str = option(DEFAULT_MODEL, "the model's class: package.module:Class")
    num_encs: int = option(1, "number of input streams", choices=(1,))
    num_spkrs: int = option(1, "number of speakers at once", choices=(1,))
    use_frontend: bool = option(
        False, "only false: the multichannel front end is not built", parse=parse_bool
    )
    sortagrad: int = option(
        0,
        "so many epochs start with the shortest utterances, -1: all epochs",
        optional_value=True,
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
    n_iter_processes: int = option(0, "processes that read data ahead; 0: none")
    preprocess_conf: str | None = option(
        None, "YAML file of on-the-fly preprocessing", optional_value=True
    )
    opt: str = option("adadelta", "optimizer", choices=OPTIMIZERS)
    accum_grad: int = option(1, "minibatches per update")
    eps: float = option(1e-8, "adadelta's epsilon")
    eps_decay: float = option(0.01, "factor on adadelta's epsilon, see criterion")
    weight_decay: float = option(0.0, "of adadelta and adam")
    criterion: str = option(
        "acc",
        "adadelta: if this got worse in validation, epsilon decays and (but for "
        "loss_eps_decay_only) the best weights are put back",
        choices=CRITERIA,
    )
    threshold: float = option(1e-4, "has no effect, as in ESPnet1")
    epochs: int = option(30, "epochs at most", aliases=("-e",))
    early_stop_criterion: str | None = option(
        "validation/main/acc",
        "value of the log that must improve; higher is better if its name has 'acc'",
        optional_value=True,
    )
    patience: int | None = option(
        3,
        "stop after so many epochs without improvement; 0: never",
        optional_value=True,
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

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        if self.backend == "chainer":
            raise UserError(
                "backend: only the pytorch backend is built; use --backend pytorch "
                "(models of Chainer have to be trained anew)"
            )
        if self.use_frontend:
            raise UserError(
                "use-frontend: the multichannel front end is not built; leave it "
                "out and train on features of one channel"
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
            "accum_grad": 1,
            "eps": 0,
            "eps_decay": 0,
            "weight_decay": 0,
            "epochs": 1,
            "grad_clip": 0,
            "maxlen_in": 1,
            "maxlen_out": 1,
            "report_interval_iters": 1,
            "save_interval_iters": 0,
            "keep_snapshots": 0,
            "n_iter_processes": 0,
            "patience": 0,
            "num_save_attention": 0,
            "num_save_ctc": 0,
        }
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                flag = name.replace("_", "-")
                raise UserError(f"{flag}: {value} must be {lowest} or more")
        if self.keep_snapshots == 1:
            raise UserError(
                "keep-snapshots: 1 leaves none to go back to if a disk is full; use 2"
            )
        self.batch_limits().mode()

    def batch_limits(self) -> BatchLimits:
        """The options that say when a minibatch is full."""
        return BatchLimits(
            count=self.batch_count,
            batch_size=self.batch_size,
            max_length_in=self.maxlen_in,
            max_length_out=self.maxlen_out,
            batch_bins=self.batch_bins,
            batch_frames_in=self.batch_frames_in,
            batch_frames_out=self.batch_frames_out,
            batch_frames_inout=self.batch_frames_inout,
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
    add_options(parser, HybridOptions, "CTC/attention training")
    path = args.model_module
    if path in MODEL_OPTIONS:
        config = dynamic_import(MODEL_OPTIONS[path])
        add_options(parser, config, f"options of {path}")
        return
    model_class = dynamic_import(path, "model-module")
    if not hasattr(model_class, "add_arguments"):
        raise UserError(
            f"model-module: '{path}' is no recogniser: it has no add_arguments(parser)"
            "; derive it from espnet.nets.asr_interface.ASRInterface"
        )
    model_class.add_arguments(parser)


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
