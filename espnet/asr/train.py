"""Training a recogniser: from options to the training loop."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from espnet import __version__
from espnet.asr.checks import Corpus, OutputLengths, checked_corpus, drop_unusable
from espnet.asr.init import initialise
from espnet.asr.language import validation_scorers
from espnet.asr.plots import EpochPlots
from espnet.asr.train_options import MAY_CHANGE, InitOptions, TrainOptions
from espnet.data.batch_summary import summarise
from espnet.data.dataset import BatchLoader, Transform, UtteranceReader
from espnet.nets.asr_interface import ASRInterface
from espnet.train.distributed import Ranks
from espnet.train.optimizer import Optimization, OptimizerOptions, make_optimizer
from espnet.train.plot import Studio
from espnet.train.progress import ProgressBlock
from espnet.train.report import TRAIN, VALID, Report, Table
from espnet.train.resume import resume
from espnet.train.scheduler import make_factors, parse_schedulers
from espnet.train.settings import Precision, Reaction, TrainerOptions
from espnet.train.start import (
    as_json,
    check_outdir,
    compile_model,
    describe_device,
    set_up,
    size_of,
    write_model_json,
)
from espnet.train.trainer import Trainer
from espnet.train.watch import EarlyStopping
from espnet.utils.batchfy import cut_batches
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.files import make_folder_of
from espnet.utils.options import read_config

ALONE = Ranks()
LOSSES = (
    *("loss", "loss_trans", "loss_ctc", "loss_att"),
    *("loss_aux_trans", "loss_symm_kl_div", "loss_lm"),
)
COLUMNS = (
    "epoch",
    "iteration",
    *(TRAIN + name for name in LOSSES),
    *(VALID + name for name in LOSSES),
    *(TRAIN + "acc", VALID + "acc"),
    *(TRAIN + "cer_ctc", VALID + "cer_ctc"),
    "elapsed_time",
    "eps",
    *(VALID + "cer", VALID + "wer"),
)
CURVES = {
    "loss": LOSSES,
    "acc": ("acc",),
    "cer": ("cer_ctc", "cer", "wer"),
}
BEST = {"loss": (VALID + "loss", False), "acc": (VALID + "acc", True)}
REACTIONS = {  # --criterion -> its metric, whether the best weights are put back
    "loss": ("loss", True),
    "loss_eps_decay_only": ("loss", False),
    "acc": ("acc", True),
}


def train(args: Namespace, ranks: Ranks = ALONE) -> None:
    """Train a recogniser as ``asr_train.py`` was told; a rerun goes on where it ended.

    Args:
        args: :class:`TrainOptions` and the options of the model.
        ranks: the processes that share the training.

    Raises:
        UserError: options, data or an earlier run in ``outdir`` do not fit.
    """
    options = read_config(TrainOptions, args)
    precision = set_up(options)
    corpus = checked_corpus(options)
    args.ngpu = (options.ngpu or 1) if precision.device.type == "cuda" else 0
    content = model_json(args, corpus)
    outdir = Path(options.outdir)
    check_outdir(outdir, content[:2], content[2], MAY_CHANGE)
    model = build_model(args, corpus)
    origins = initialise(model, read_config(InitOptions, args), corpus.char_list)
    model.to(precision.device, precision.dtype)
    if getattr(args, "rnnlm", None):  # an option of models that search in validation
        model.beside = validation_scorers(
            *(args.rnnlm, args.rnnlm_conf, corpus.char_list),
            *(precision.device, precision.dtype),
        )
    if options.compile:
        compile_model(model, precision.device.type)
    has_ctc = getattr(model, "ctc", None) is not None and args.mtlalpha > 0
    drop_unusable(corpus, OutputLengths(model, corpus.idims, has_ctc), options)
    make_folder_of(outdir / "model.json")
    loaders = make_loaders(options, corpus, model, precision, ranks)
    ranks.reseed(options.seed)
    with Studio(options.tensorboard_dir or None if ranks.is_first else None) as studio:
        trainer = make_trainer(
            *(args, options, corpus, model, loaders, precision, studio, ranks)
        )
        lines = summary(options, model, loaders, precision), ranks.describe(), origins
        trainer.report.say("\n".join(line for line in lines if line))
        resume(trainer, options.resume)
        if ranks.is_first:
            write_model_json(outdir, content)
        studio.begin(trainer.position.iteration)
        trainer.run()


def model_json(args: Namespace, corpus: Corpus) -> list[Any]:
    """What ``model.json`` holds: all that rebuilds the model."""
    values = dict(vars(args))
    values.update(char_list=corpus.char_list, version=__version__)
    return [corpus.idim, corpus.odim, as_json(values)]


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
    model_class.check_new(values)
    build = cast(Callable[[Any, int, Namespace], ASRInterface], model_class)
    return build(corpus.idim, corpus.odim, values)


def make_loaders(
    options: TrainOptions,
    corpus: Corpus,
    model: ASRInterface,
    precision: Precision,
    ranks: Ranks,
) -> tuple[BatchLoader, BatchLoader]:
    """Readers of the training and of the validation minibatches."""

    def loader(is_train: bool) -> BatchLoader:
        transform: Transform | None = None
        if options.preprocess_conf:
            from espnet.transform.transformation import Transformation

            transform = Transformation(options.preprocess_conf)
        batches = cut_batches(
            corpus.train if is_train else corpus.valid,
            options.batch_limits(ranks.size),
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
            skip_bad=options.skip_bad_utterances,
            part=(ranks.rank, ranks.size),
        )

    return loader(is_train=True), loader(is_train=False)


def optimization_of(
    options: TrainOptions, model: ASRInterface, values: Mapping[str, Any]
) -> Optimization:
    """The optimizer of the model's parameters, and its schedule.

    Args:
        options: name it.
        model: the recogniser.
        values: of all options, those of the model and of schedulers included.
    """
    return make_optimizer(
        options.opt,
        model.parameters(),
        OptimizerOptions(
            lr=options.lr,
            eps=options.eps,
            weight_decay=options.weight_decay,
            # the Transducer's names, or else the Transformer's
            noam_factor=values.get("noam_lr", values.get("transformer_lr")),
            noam_dim=values.get("noam_adim", values.get("adim")),
            noam_warmup=values.get(
                "optimizer_warmup_steps", values.get("transformer_warmup_steps")
            ),
        ),
        make_factors(parse_schedulers(options.schedulers), values),
    )


def make_trainer(
    args: Namespace,
    options: TrainOptions,
    corpus: Corpus,
    model: ASRInterface,
    loaders: tuple[BatchLoader, BatchLoader],
    precision: Precision,
    studio: Studio,
    ranks: Ranks,
) -> Trainer:
    """The training loop with all that recognisers need of it."""
    optimization = optimization_of(options, model, vars(args))
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
        seed=options.seed,
        max_nan_steps=options.max_nan_steps,
        watchdog=options.watchdog,
        rehearse=precision.device.type == "cuda",
    )
    train_loader, valid_loader = loaders
    updates = -(-len(train_loader) // options.accum_grad)
    flagged = [VALID + n for n in ("cer", "wer") if getattr(args, f"report_{n}", False)]
    report = Report(
        loop.outdir if ranks.is_first else None,
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

    padding = f"{summarise(train_loader.batches).padding:.1%} padding"
    stop = EarlyStopping(options.early_stop_criterion, options.patience or 0)
    return Trainer(
        *(model, optimization, *loaders, report, stop, loop, precision),
        hooks=[draw] if ranks.is_first else [],
        ranks=ranks,
        notes=lambda: [*plots.notes(), padding],
    )


def summary(
    options: TrainOptions,
    model: ASRInterface,
    loaders: tuple[BatchLoader, BatchLoader],
    precision: Precision,
) -> str:
    """A few lines on the model and the data."""
    lines = [f"model: {options.model_module}, {size_of(model)}"]
    for name, loader in zip(("training", "validation"), loaders, strict=True):
        lines.append(f"{name}: {summarise(loader.batches)}")
    lines.append(describe_device(precision, options.train_dtype))
    return "\n".join(lines)
