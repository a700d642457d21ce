"""Training a language model: from options to the training loop."""

from __future__ import annotations

import logging
import math
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from espnet import __version__
from espnet.lm.optimizer import make_optimization
from espnet.lm.text import (
    SentenceBatch,
    SentenceLoader,
    Text,
    cached_text,
    cut_sentences,
    read_text,
)
from espnet.lm.train_options import MAY_CHANGE, LMTrainOptions
from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.lm.options import LANGUAGE_MODELS, full_name
from espnet.nets.pytorch_backend.sharing import parts
from espnet.text.dictionary import Dictionary
from espnet.train.checkpoint import load, load_snapshot, save
from espnet.train.distributed import Ranks
from espnet.train.passes import Reported
from espnet.train.plot import Curves, Studio
from espnet.train.progress import ProgressBlock
from espnet.train.report import TRAIN, VALID, Entry, Report, Table
from espnet.train.resume import resume
from espnet.train.scheduler import parse_schedulers
from espnet.train.settings import Precision, TrainerOptions
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
from espnet.train.weights import load_weights
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError
from espnet.utils.options import read_config

ALONE = Ranks()
COLUMNS = (
    *("epoch", "iteration", TRAIN + "loss"),
    *("perplexity", "val_perplexity", "elapsed_time"),
)
CRITERION = VALID + "loss"
BEST = "rnnlm.model.best"


def train(args: Namespace, ranks: Ranks = ALONE) -> None:
    """Train a language model as ``lm_train.py`` was told; a rerun goes on.

    Args:
        args: :class:`LMTrainOptions` and the options of optimizer and model.
        ranks: the processes that share the training.

    Raises:
        UserError: options, data or an earlier run in ``outdir`` do not fit.
    """
    options = read_config(LMTrainOptions, args)
    precision = set_up(options)
    dictionary = Dictionary.load(options.dict)
    texts = [
        open_text(path, dictionary, options)
        for path in (options.train_label, options.valid_label, options.test_label)
        if path
    ]
    args.ngpu = (options.ngpu or 1) if precision.device.type == "cuda" else 0
    complete(args)
    content = model_json(args, dictionary)
    outdir = Path(options.outdir)
    check_outdir(outdir, [], content, MAY_CHANGE)
    model = build_model(args, dictionary.odim).to(precision.device, precision.dtype)
    if options.compile:
        compile_model(model, precision.device.type)
    if ranks.is_first:
        write_model_json(outdir, content)
    loaders = [
        # the test text is for the first process alone
        make_loader(options, text, dictionary.odim, number == 0, ranks, number == 2)
        for number, text in enumerate(texts)
    ]
    ranks.reseed(options.seed)
    with Studio(options.tensorboard_dir or None if ranks.is_first else None) as studio:
        trainer = make_trainer(args, options, model, loaders, precision, studio, ranks)
        lines = summary(options, model, loaders, precision), ranks.describe()
        trainer.report.say("\n".join(line for line in lines if line))
        resume(trainer, options.resume, "--train-label and --valid-label")
        studio.begin(trainer.position.iteration)
        trainer.run()
        if ranks.is_first and not trainer.is_stopped:
            conclude(trainer, *loaders[2:])


def open_text(path: str, dictionary: Dictionary, options: LMTrainOptions) -> Text:
    """A text as ids, from its cache if there is one."""
    if options.dump_hdf5_path:
        return cached_text(path, dictionary, options.dump_hdf5_path)
    return read_text(path, dictionary)


def complete(args: Namespace) -> None:
    """Fill in what new models have and old ones, which do not say, have not."""
    for known in LANGUAGE_MODELS.values():
        if full_name(args.model_module) == known.model:
            for name, value in getattr(known.options, "NEW", {}).items():
                if getattr(args, name) is None:
                    setattr(args, name, value)


def model_json(args: Namespace, dictionary: Dictionary) -> dict[str, Any]:
    """What ``model.json`` holds: all that rebuilds the model, and its vocabulary."""
    ids = {token: number for number, token in enumerate(dictionary.char_list)}
    return as_json(
        {
            **vars(args),
            "char_list_dict": ids,
            "n_vocab": dictionary.odim,
            "version": __version__,
        }
    )


def build_model(args: Namespace, n_vocab: int) -> torch.nn.Module:
    """The language model that ``--model-module`` names.

    Raises:
        UserError: it is not a language model, or its options are wrong.
    """
    model_class = dynamic_import(full_name(args.model_module), "model-module")
    if not (
        isinstance(model_class, type)
        and issubclass(model_class, LMInterface)
        and issubclass(model_class, torch.nn.Module)
    ):
        raise UserError(
            f"model-module: '{args.model_module}' is no language model; derive it from "
            "espnet.nets.lm_interface.LMInterface and torch.nn.Module"
        )
    return cast(Callable[[int, Namespace], torch.nn.Module], model_class)(n_vocab, args)


def make_loader(
    options: LMTrainOptions,
    text: Text,
    n_vocab: int,
    is_train: bool,
    ranks: Ranks,
    is_whole: bool = False,
) -> SentenceLoader:
    """Minibatches of a text, this process's parts of them or whole ones."""
    size = options.batchsize * ranks.size
    batches = cut_sentences(text.lengths(), size, options.maxlen)
    return SentenceLoader(
        text,
        batches,
        n_vocab - 1,
        shuffle=is_train,
        in_order=options.sortagrad or 0,
        seed=options.seed,
        part=(0, 1) if is_whole else (ranks.rank, ranks.size),
    )


def lm_step(model: torch.nn.Module, batch: SentenceBatch) -> tuple[Tensor, Reported]:
    """The loss of a minibatch, and what the log shows of it."""
    loss, nll, count = model(*batch.inputs)
    sums = {"nll": nll.detach() * parts(), "count": count * parts()}
    return loss, {"loss": loss.detach(), **sums}


def perplexities(entry: Entry) -> Entry:
    """``perplexity`` and ``val_perplexity`` of a row, where their parts are known."""
    found = {}
    for name, prefix in (("perplexity", TRAIN), ("val_perplexity", VALID)):
        if prefix + "nll" in entry and entry.get(prefix + "count"):
            found[name] = _perplexity(entry[prefix + "nll"] / entry[prefix + "count"])
    return found


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf


def make_trainer(
    args: Namespace,
    options: LMTrainOptions,
    model: torch.nn.Module,
    loaders: list[SentenceLoader],
    precision: Precision,
    studio: Studio,
    ranks: Ranks,
) -> Trainer:
    """The training loop with all that language models need of it."""
    loop = TrainerOptions(
        outdir=Path(options.outdir),
        epochs=options.epoch,
        accum_grad=options.accum_grad,
        grad_clip=options.gradclip,
        keep_snapshots=options.keep_snapshots,
        report_interval=options.report_interval_iters,
        seed=options.seed,
        max_nan_steps=options.max_nan_steps,
        watchdog=options.watchdog,
        rehearse=precision.device.type == "cuda",
    )
    updates = -(-len(loaders[0]) // options.accum_grad)
    report = Report(
        loop.outdir if ranks.is_first else None,
        Table(COLUMNS, sys.stdout, expected=("val_perplexity",)),
        ProgressBlock(options.epoch, updates, sys.stdout),
        listener=studio.scalars,
        derive=perplexities,
    )

    def keep(epoch: int, iteration: int) -> None:
        save(model.state_dict(), loop.outdir / f"rnnlm.model.{epoch}")
        link_best(loop.outdir, report.history, trainer.position.origin)
        draw(studio, loop.outdir, report.history)

    trainer = Trainer(
        model,
        make_optimization(
            options.opt,
            model.parameters(),
            parse_schedulers(options.schedulers),
            vars(args),
        ),
        loaders[0],
        loaders[1],
        report,
        EarlyStopping(options.early_stop_criterion, options.patience or 0),
        loop,
        precision,
        hooks=[keep] if ranks.is_first else [],
        step=lm_step,
        ranks=ranks,
    )
    return trainer


def link_best(outdir: Path, history: list[Entry], origin: str = "") -> None:
    """Let ``rnnlm.model.best`` name the weights of the lowest validation loss.

    Args:
        outdir: of this run.
        history: one entry per epoch.
        origin: the snapshot that ``--resume`` named, if any; the best epoch may be one
            of the run that it is of.
    """
    finite = [entry for entry in history if CRITERION in entry]
    for entry in sorted(finite, key=lambda entry: entry[CRITERION]):
        weights = outdir / f"rnnlm.model.{int(entry['epoch'])}"
        if not weights.is_file() and not _recover(weights, origin):
            continue
        link = outdir / f".{BEST}.{os.getpid()}.tmp"
        link.unlink(missing_ok=True)
        link.symlink_to(weights.name)
        link.replace(outdir / BEST)
        return


def _recover(weights: Path, origin: str) -> bool:
    """Take lost weights of an epoch from its snapshot; False if that is lost too."""
    folder = Path(origin).parent if origin else weights.parent
    snapshot = folder / f"snapshot.ep.{weights.name.rpartition('.')[2]}"
    try:
        save(load_snapshot(snapshot)["model"], weights)
    except UserError as error:
        logging.warning("%s: cannot be the best, it is lost: %s", weights, error)
        return False
    return True


def draw(studio: Studio, outdir: Path, history: list[Entry]) -> None:
    """Order the curves of loss and perplexity."""
    studio.curves(outdir, {"loss": ("loss",)}, history)
    series = {}
    for name, key in (("main", "perplexity"), ("validation/main", "val_perplexity")):
        points = [(int(e["epoch"]), e[key]) for e in history if key in e]
        if points:
            epochs, values = zip(*points, strict=True)
            series[f"{name}/perplexity"] = (epochs, values)
    path = outdir / "perplexity.png"
    studio.post(str(path), Curves(path, series))


def summary(
    options: LMTrainOptions,
    model: torch.nn.Module,
    loaders: list[SentenceLoader],
    precision: Precision,
) -> str:
    """A few lines on the model and the data."""
    lines = [f"model: {options.model_module}, {size_of(model)}"]
    for name, loader in zip(("training", "validation", "test"), loaders, strict=False):
        lines.append(f"{name}: {loader.text.describe()}, {len(loader)} minibatches")
    lines.append(describe_device(precision, options.train_dtype))
    return "\n".join(lines)


def conclude(trainer: Trainer, test: SentenceLoader | None = None) -> None:
    """Say which epoch is the best, and its perplexity on the test text."""
    path = trainer.options.outdir / BEST
    if not path.is_file():
        return
    epoch = int(os.readlink(path).rpartition(".")[2])
    message = f"best: {path} of epoch {epoch}"
    best = next(e for e in trainer.report.history if e["epoch"] == epoch)
    if "val_perplexity" in best:
        message += f", validation perplexity {best['val_perplexity']:.4f}"
    if test is not None:
        load_weights(trainer.model, load(path), str(path))
        value = perplexity(trainer.model, test, trainer.precision)
        message += f", test perplexity {value:.4f}"
        logging.info("test perplexity: %g", value)
    trainer.report.say(message)


@torch.no_grad()
def perplexity(
    model: torch.nn.Module, loader: SentenceLoader, precision: Precision
) -> float:
    """exp of the negative log-probability per token, end symbols included."""
    model.eval()
    total = count = 0.0
    for batch in loader.epoch(0):
        on_device = batch.to(precision.device, precision.dtype)
        _, reported = lm_step(model, on_device)
        total += float(reported["nll"])
        count += float(reported["count"])
    return _perplexity(total / count)
