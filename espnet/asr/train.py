"""Training a recogniser: from options to the training loop."""

from __future__ import annotations

import json
import logging
import random
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from espnet import __version__
from espnet.asr.checks import Corpus, OutputLengths, checked_corpus, drop_unusable
from espnet.asr.plots import EpochPlots
from espnet.asr.train_options import MAY_CHANGE, TrainOptions
from espnet.data.dataset import BatchLoader, Transform, UtteranceReader
from espnet.nets.asr_interface import ASRInterface
from espnet.train.optimizer import OptimizerOptions, make_optimizer
from espnet.train.plot import Studio
from espnet.train.progress import ProgressBlock
from espnet.train.report import TRAIN, VALID, Report, Table
from espnet.train.resume import resume
from espnet.train.trainer import Precision, Reaction, Trainer, TrainerOptions
from espnet.train.watch import EarlyStopping
from espnet.utils.batchfy import cut_batches, describe_batches
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write
from espnet.utils.options import read_config

COLUMNS = (
    "epoch",
    "iteration",
    *(TRAIN + name for name in ("loss", "loss_ctc", "loss_att")),
    *(VALID + name for name in ("loss", "loss_ctc", "loss_att")),
    *(TRAIN + "acc", VALID + "acc"),
    *(TRAIN + "cer_ctc", VALID + "cer_ctc"),
    "elapsed_time",
    "eps",
    *(VALID + "cer", VALID + "wer"),
)
CURVES = {
    "loss": ("loss", "loss_ctc", "loss_att"),
    "acc": ("acc",),
    "cer": ("cer_ctc", "cer", "wer"),
}
BEST = {"loss": (VALID + "loss", False), "acc": (VALID + "acc", True)}
REACTIONS = {  # --criterion -> its metric, whether the best weights are put back
    "loss": ("loss", True),
    "loss_eps_decay_only": ("loss", False),
    "acc": ("acc", True),
}
AUTOCAST = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def train(args: Namespace) -> None:
    """Train a recogniser as ``asr_train.py`` was told; a rerun goes on where it ended.

    Args:
        args: :class:`TrainOptions` and the options of the model.

    Raises:
        UserError: options, data or an earlier run in ``outdir`` do not fit.
    """
    options = read_config(TrainOptions, args)
    precision = choose_precision(options)
    set_up_torch(options)
    corpus = checked_corpus(options)
    args.ngpu = 1 if precision.device.type == "cuda" else 0
    content = model_json(args, corpus)
    outdir = Path(options.outdir)
    check_outdir(outdir, content)
    model = build_model(args, corpus).to(precision.device, precision.dtype)
    has_ctc = getattr(model, "ctc", None) is not None and args.mtlalpha > 0
    drop_unusable(corpus, OutputLengths(model, corpus.idim, has_ctc), options)
    with atomic_write(outdir / "model.json") as stream:
        json.dump(content, stream, indent=4, sort_keys=True, ensure_ascii=False)
    loaders = make_loaders(options, corpus, model, precision)
    with Studio(options.tensorboard_dir or None) as studio:
        trainer = make_trainer(args, options, corpus, model, loaders, precision, studio)
        trainer.report.say(summary(options, model, loaders, precision))
        resume(trainer, options.resume)
        studio.begin(trainer.position.iteration)
        trainer.run()


def choose_precision(options: TrainOptions) -> Precision:
    """Device and number format.

    Raises:
        UserError: a GPU is asked for where there is none.
    """
    available = torch.cuda.is_available()
    ngpu = int(available) if options.ngpu is None else options.ngpu
    if ngpu and not available:
        raise UserError(
            f"ngpu: {ngpu}: torch {torch.__version__} sees no GPU here; use --ngpu 0 "
            "to train on the CPU"
        )
    device = torch.device("cuda" if ngpu else "cpu")
    autocast = AUTOCAST.get(options.train_dtype)
    if autocast is not None and not ngpu:
        raise UserError(
            f"train-dtype: {options.train_dtype} needs a GPU; use float32 on the CPU"
        )
    dtype = torch.float64 if options.train_dtype == "float64" else torch.float32
    return Precision(device, dtype, autocast)


def set_up_torch(options: TrainOptions) -> None:
    """Seeds, and whether results are to be repeatable."""
    random.seed(options.seed)
    np.random.seed(options.seed % 2**32)
    torch.manual_seed(options.seed)
    torch.backends.cudnn.deterministic = options.debugmode > 0
    torch.backends.cudnn.benchmark = options.debugmode == 0
    torch.use_deterministic_algorithms(options.debugmode > 1, warn_only=True)


def model_json(args: Namespace, corpus: Corpus) -> list[Any]:
    """What ``model.json`` holds: all that rebuilds the model."""
    values = dict(vars(args))
    values.update(char_list=corpus.char_list, version=__version__)
    return [corpus.idim, corpus.odim, json.loads(json.dumps(values))]


def check_outdir(outdir: Path, content: list[Any]) -> None:
    """Make sure that snapshots in ``outdir`` are of a run with the same options.

    Raises:
        UserError: they are not; the message names what differs.
    """
    path = outdir / "model.json"
    if not path.is_file() or not any(outdir.glob("snapshot.*")):
        return
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        old_sizes, old_args = old[:2], dict(old[2])
    except (ValueError, LookupError, TypeError):
        logging.warning("%s: is damaged, written again", path)
        return
    differing = [
        f"{name.replace('_', '-')}: {_short(old_args[name])} there, {_short(value)} now"
        for name, value in content[2].items()
        if name not in MAY_CHANGE and name in old_args
        # an option without a value, 0 and false all say no
        if old_args[name] != value and (old_args[name] or value)
    ]
    if old_sizes != content[:2]:
        differing.append(f"input and output size: {old_sizes} there, {content[:2]} now")
    if differing:
        raise UserError(
            f"outdir: {outdir} holds snapshots of a run with other options "
            f"({'; '.join(differing[:5])}); use another --outdir or delete them"
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def build_model(args: Namespace, corpus: Corpus) -> ASRInterface:
    """The recogniser that ``--model-module`` names.

    Raises:
        UserError: it is not a recogniser, or its options are wrong.
    """
    model_class = dynamic_import(args.model_module, "model-module")
    if not (isinstance(model_class, type) and issubclass(model_class, ASRInterface)):
        raise UserError(
            f"model-module: '{args.model_module}' is no recogniser; derive it from "
            "espnet.nets.asr_interface.ASRInterface"
        )
    values = Namespace(**{**vars(args), "char_list": corpus.char_list})
    build = cast(Callable[[int, int, Namespace], ASRInterface], model_class)
    return build(corpus.idim, corpus.odim, values)


def make_loaders(
    options: TrainOptions, corpus: Corpus, model: ASRInterface, precision: Precision
) -> tuple[BatchLoader, BatchLoader]:
    """Readers of the training and of the validation minibatches."""

    def loader(is_train: bool) -> BatchLoader:
        transform: Transform | None = None
        if options.preprocess_conf:
            from espnet.transform.transformation import Transformation

            transform = Transformation(options.preprocess_conf)
        batches = cut_batches(
            corpus.train if is_train else corpus.valid,
            options.batch_limits(),
            options.minibatches,
            shortest_first=is_train and bool(options.sortagrad),
        )
        return BatchLoader(
            batches,
            UtteranceReader(transform, is_train, options.seed, corpus.idim),
            subsample=model.subsample_input,
            shuffle=is_train,
            in_order=options.sortagrad or 0,
            seed=options.seed,
            workers=options.n_iter_processes,
            pin_memory=precision.device.type == "cuda",
        )

    return loader(is_train=True), loader(is_train=False)


def make_trainer(
    args: Namespace,
    options: TrainOptions,
    corpus: Corpus,
    model: ASRInterface,
    loaders: tuple[BatchLoader, BatchLoader],
    precision: Precision,
    studio: Studio,
) -> Trainer:
    """The training loop with all that recognisers need of it."""
    values: Mapping[str, Any] = vars(args)
    optimization = make_optimizer(
        options.opt,
        model.parameters(),
        OptimizerOptions(
            eps=options.eps,
            weight_decay=options.weight_decay,
            noam_factor=values.get("transformer_lr"),
            noam_dim=values.get("adim"),
            noam_warmup=values.get("transformer_warmup_steps"),
        ),
    )
    metric, put_back = REACTIONS[options.criterion]
    loop = TrainerOptions(
        outdir=Path(options.outdir),
        epochs=options.epochs,
        accum_grad=options.accum_grad,
        grad_clip=options.grad_clip,
        grad_noise=options.grad_noise,
        report_interval=options.report_interval_iters,
        save_interval=options.save_interval_iters,
        keep_snapshots=options.keep_snapshots,
        best=BEST,
        reaction=Reaction(metric, put_back, options.eps_decay),
    )
    train_loader, valid_loader = loaders
    updates = -(-len(train_loader) // options.accum_grad)
    flagged = [VALID + n for n in ("cer", "wer") if values.get(f"report_{n}")]
    report = Report(
        loop.outdir,
        Table(COLUMNS, sys.stdout, expected=flagged),
        ProgressBlock(options.epochs, updates, sys.stdout),
        listener=studio.scalars,
    )
    plots = EpochPlots(
        model,
        corpus,
        valid_loader.reader,
        studio,
        loop.outdir,
        precision,
        attention=options.num_save_attention,
        ctc=options.num_save_ctc,
    )

    def draw(epoch: int, iteration: int) -> None:
        studio.curves(loop.outdir, CURVES, report.history)
        plots.draw(epoch, iteration)

    stop = EarlyStopping(options.early_stop_criterion, options.patience or 0)
    return Trainer(
        model, optimization, *loaders, report, stop, loop, precision, hooks=[draw]
    )


def summary(
    options: TrainOptions,
    model: ASRInterface,
    loaders: tuple[BatchLoader, BatchLoader],
    precision: Precision,
) -> str:
    """A few lines on the model and the data."""
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    share = "" if trained == total else f", {trained:,} of them trained"
    lines = [f"model: {options.model_module}, {total:,} parameters{share}"]
    for name, loader in zip(("training", "validation"), loaders, strict=True):
        lines.append(f"{name}: {describe_batches(loader.batches)}")
    threads = f", {torch.get_num_threads()} threads" * (precision.device.type == "cpu")
    lines.append(f"device: {precision.device}{threads}, {options.train_dtype}")
    return "\n".join(lines)
