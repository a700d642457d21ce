"""The training loop of every task.

All that differs between tasks is an argument here: how a model's loss is had of a
batch, the batches, what is reported and when training ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from espnet.train.checkpoint import (
    load,
    random_state,
    save,
    set_random_state,
)
from espnet.train.guard import StepGuard
from espnet.train.optimizer import Optimization
from espnet.train.passes import (
    BatchLike,
    Loader,
    Pass,
    Step,
    fetch,
    out_of_memory,
    plain_step,
)
from espnet.train.report import VALID, Entry, Means, Report
from espnet.train.watch import Best, EarlyStopping
from espnet.train.weights import load_weights

EpochHook = Callable[[int, int], None]  # gets the epoch and the iteration


@dataclass(frozen=True)
class Reaction:
    """What happens to Adadelta after an epoch that was worse than the best.

    Attributes:
        metric: of ``TrainerOptions.best``.
        put_back: load the best weights.
        eps_decay: factor on epsilon.
    """

    metric: str
    put_back: bool
    eps_decay: float


@dataclass(frozen=True)
class TrainerOptions:
    """Numbers of the loop.

    Attributes:
        outdir: where everything is written.
        epochs: at most.
        accum_grad: minibatches per update.
        grad_clip: largest norm of the gradient; 0: no limit.
        grad_noise: add noise that fades out to gradients.
        report_interval: updates between two rows of the log.
        save_interval: updates between two snapshots inside an epoch; 0: none.
        keep_snapshots: newest epochs whose snapshots are kept; 0: all.
        best: file ``model.<name>.best`` -> (log key, whether higher is better).
        reaction: to epochs that are worse.
    """

    outdir: Path
    epochs: int
    accum_grad: int = 1
    grad_clip: float = 5.0
    grad_noise: bool = False
    report_interval: int = 100
    save_interval: int = 0
    keep_snapshots: int = 0
    best: Mapping[str, tuple[str, bool]] | None = None
    reaction: Reaction | None = None


@dataclass(frozen=True)
class Precision:
    """Where and in which number format the model computes.

    Attributes:
        device: of the model.
        dtype: of parameters and features.
        autocast: format of the operations that bear 16 bits.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    autocast: torch.dtype | None = None


@dataclass
class Position:
    """How far training is.

    Attributes:
        epoch: epochs done.
        batch: minibatches done of the running one.
        iteration: updates done.
        elapsed: seconds, those before an interruption included.
        origin: the snapshot that ``--resume`` named, if any.
    """

    epoch: int = 0
    batch: int = 0
    iteration: int = 0
    elapsed: float = 0.0
    origin: str = ""


class Trainer:
    """Trains a model and writes log, snapshots and best models.

    Args:
        model: on its device.
        optimization: its optimizer.
        train: minibatches to train on.
        valid: minibatches to validate on.
        report: gets what is observed.
        early_stop: says when to end.
        options: numbers of the loop.
        precision: device and number format.
        hooks: called after each epoch, before its snapshot.
        step: model and batch -> the loss, a scalar, and the values to report.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimization: Optimization,
        train: Loader,
        valid: Loader,
        report: Report,
        early_stop: EarlyStopping,
        options: TrainerOptions,
        precision: Precision,
        hooks: Sequence[EpochHook] = (),
        step: Step = plain_step,
    ) -> None:
        self.model = model
        self.optimizer = optimization.optimizer
        self.scheduler = optimization.scheduler
        self.has_eps = optimization.has_eps_decay
        self.train = train
        self.valid = valid
        self.report = report
        self.early_stop = early_stop
        self.options = options
        self.precision = precision
        self.hooks = hooks
        self.step = step
        self.position = Position()
        self.guard = StepGuard()
        self.best = {
            name: Best(key, higher)
            for name, (key, higher) in (options.best or {}).items()
        }
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.scaler = torch.amp.GradScaler(
            precision.device.type, enabled=precision.autocast == torch.float16
        )
        self._started = time.monotonic()

    @property
    def updates_per_epoch(self) -> int:
        """Iterations of an epoch; an incomplete accumulation at its end counts."""
        return -(-len(self.train) // self.options.accum_grad)

    @cached_property
    def fingerprint(self) -> list[int]:
        """Numbers that tell other data, or another order of it."""
        return [self.train.fingerprint(), self.valid.fingerprint()]

    def run(self) -> None:
        """Train until the last epoch or until no improvement is to be expected."""
        self._started = time.monotonic()
        self.report.progress.start(self.position.iteration)
        while self.position.epoch < self.options.epochs and not self.early_stop.stop:
            self._run_epoch()
        self.report.say(self._conclusion())

    def _conclusion(self) -> str:
        reasons = ["all epochs done"]
        if self.early_stop.stop:
            key, patience = self.early_stop.best.key, self.early_stop.patience
            reasons = [f"{patience} without a better {key}"]
        if self.guard.skipped:
            reasons.append(f"{self.guard.skipped} updates left out as not finite")
        best = [
            f"{best.key} {best.value:g} (epoch {best.epoch})"
            for best in self.best.values()
            if best.value is not None
        ]
        return (
            f"training is complete after {self.position.epoch} of "
            f"{self.options.epochs} epochs ({', '.join(reasons)})"
        ) + (f"; best: {', '.join(best) or 'none'}" if self.best else "")

    def _run_epoch(self) -> None:
        self.model.train()
        group: list[Pass] = []
        position = self.position
        for batch in self.train.epoch(position.epoch, start=position.batch):
            group.append(self._accumulate(batch))
            position.batch += 1
            is_last = position.batch == len(self.train)
            if len(group) == self.options.accum_grad or is_last:
                self._update(group)
                group = []
                if not is_last:
                    self._between_updates()
        self._end_epoch()

    def _accumulate(self, batch: BatchLike) -> Pass:
        """Add the gradient of one minibatch."""
        loss, done = self._forward(batch)
        try:
            self.scaler.scale(loss / self.options.accum_grad).backward()
        except torch.OutOfMemoryError as error:
            raise out_of_memory(batch) from error
        if self.options.grad_noise:
            self._add_noise()
        return done

    def _forward(self, batch: BatchLike) -> tuple[Tensor, Pass]:
        """The loss, which has a gradient in training, and what came of the batch."""
        on_device = batch.to(self.precision.device, self.precision.dtype)
        try:
            with self._autocast():
                loss, reported = self.step(self.model, on_device)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(batch) from error
        return loss, Pass(batch, loss.detach(), reported)

    def _autocast(self) -> torch.autocast:
        kind = self.precision.autocast
        device = self.precision.device.type
        return torch.autocast(device, dtype=kind, enabled=kind is not None)

    def _add_noise(self) -> None:
        """Neelakantan et al. 2015, arXiv:1511.06807, with a step each 100 updates."""
        deviation = 1.0 / (self.position.iteration // 100 + 1) ** 0.55
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.add_(torch.randn_like(parameter.grad), alpha=deviation)

    def _update(self, group: list[Pass]) -> None:
        """Make one optimizer step of the gradients of some minibatches."""
        self.scaler.unscale_(self.optimizer)
        limit = self.options.grad_clip if self.options.grad_clip > 0 else float("inf")
        norm = clip_grad_norm_(self.parameters, limit)
        losses, values, norm_value = fetch(group, norm)
        batches = [done.batch for done in group]
        is_scaled = self.scaler.is_enabled()
        if self.guard.accept(norm_value, losses, batches, is_scaled):
            self.scaler.step(self.optimizer)
            if self.scheduler is not None:
                self.scheduler.step()
            for reported in values:
                self.report.observe(reported)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.position.iteration += 1
        logging.debug("grad norm=%g", norm_value)

    def _between_updates(self) -> None:
        """What is due inside an epoch: a row, a snapshot with its validation."""
        iteration, save_interval = self.position.iteration, self.options.save_interval
        is_save = save_interval > 0 and iteration % save_interval == 0
        if is_save or iteration % self.options.report_interval == 0:
            self._row(self._validate() if is_save else {})
        if is_save:
            self._save_snapshot(f"snapshot.iter.{iteration}")

    def _end_epoch(self) -> None:
        """Validate, keep the best, react, report, and write the snapshot last."""
        validation = self._validate()
        self.position.epoch += 1
        self.position.batch = 0
        epoch = self.position.epoch
        for name, best in self.best.items():
            if best.update(validation, epoch):
                save(self.model.state_dict(), self._best_file(name))
        self._react(validation)
        self.report.close_epoch(epoch, validation)
        entry = self._row(validation)
        self.early_stop.update(entry, epoch)
        for hook in self.hooks:
            hook(epoch, self.position.iteration)
        self._save_snapshot(f"snapshot.ep.{epoch}")
        if self.options.keep_snapshots:
            old = epoch - self.options.keep_snapshots
            (self.options.outdir / f"snapshot.ep.{old}").unlink(missing_ok=True)

    @torch.no_grad()
    def _validate(self) -> Entry:
        """Means over the validation minibatches of what the model reports."""
        self.model.eval()
        means = Means()
        for batch in self.valid.epoch(0):
            loss, done = self._forward(batch)
            losses, values, _ = fetch([done], loss)
            if losses[0] != losses[0]:
                logging.warning("validation: loss is NaN for %s", batch.describe())
            means.add(values[0])
        self.model.train()
        return means.result(VALID)

    def _react(self, validation: Entry) -> None:
        reaction = self.options.reaction
        if reaction is None or not self.has_eps:
            return
        if not self.best[reaction.metric].is_worse(validation):
            return
        if reaction.put_back:
            path = self._best_file(reaction.metric)
            load_weights(self.model, load(path), str(path))
            for best in self.best.values():
                if best.epoch == self.position.epoch:
                    best.in_snapshot = False
        for group in self.optimizer.param_groups:
            group["eps"] *= reaction.eps_decay
        logging.info(
            "adadelta eps decayed to %g", self.optimizer.param_groups[0]["eps"]
        )

    def _row(self, validation: Entry) -> Entry:
        counters: Entry = {
            "epoch": self.position.epoch,
            "iteration": self.position.iteration,
            "elapsed_time": self._elapsed(),
        }
        eps = {"eps": self.optimizer.param_groups[0]["eps"]} if self.has_eps else {}
        done = self.position.epoch + self.position.batch / len(self.train)
        return self.report.row(counters, {**validation, **eps}, done)

    def _elapsed(self) -> float:
        return self.position.elapsed + time.monotonic() - self._started

    def _best_file(self, name: str) -> Path:
        return self.options.outdir / f"model.{name}.best"

    def _save_snapshot(self, name: str) -> None:
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "trainer": self.state(),
        }
        save(content, self.options.outdir / name)

    def state(self) -> dict[str, Any]:
        """All that a run needs to go on, but for model and optimizer."""
        return {
            "position": {**asdict(self.position), "elapsed": self._elapsed()},
            "best": {name: best.state() for name, best in self.best.items()},
            "early_stop": self.early_stop.state(),
            "refused": self.guard.state(),
            "report": self.report.state(),
            "scheduler": self.scheduler.state_dict() if self.scheduler else {},
            "scaler": self.scaler.state_dict(),
            "batches": self.fingerprint,
            "random": random_state(),
        }

    def restore(self, content: Mapping[str, Any], source: str) -> None:
        """Go on from the content of a snapshot.

        Raises:
            UserError: it is of another model.
        """
        load_weights(self.model, content["model"], source)
        self.optimizer.load_state_dict(content["optimizer"])
        state = content["trainer"]
        self.position = Position(**state["position"])
        for name, best in self.best.items():
            if name in state["best"]:
                best.restore(state["best"][name])
        self.early_stop.restore(state["early_stop"])
        self.guard.restore(state["refused"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.report.restore(state["report"])
        set_random_state(state["random"])
