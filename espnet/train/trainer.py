"""The training loop of every task.

All that differs between tasks is an argument here: how a model's loss is had of a
batch, the batches, what is reported and when training ends.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from espnet.nets.pytorch_backend.sharing import sharing
from espnet.train.checkpoint import (
    drop_snapshots,
    load,
    random_state,
    save,
    set_random_state,
)
from espnet.train.distributed import Outcome, Ranks, Stepped, mean, together
from espnet.train.guard import StepGuard, updates
from espnet.train.health import Stopwatch, health
from espnet.train.interruption import StopRequest
from espnet.train.optimizer import Optimization
from espnet.train.passes import (
    BatchLike,
    Loader,
    Pass,
    Step,
    fetch,
    memory_for,
    plain_step,
)
from espnet.train.rehearsal import rehearse
from espnet.train.report import VALID, Entry, Means, Report
from espnet.train.settings import Position, Precision, TrainerOptions
from espnet.train.watch import Best, EarlyStopping
from espnet.train.watchdog import Watchdog
from espnet.train.weights import load_weights

EpochHook = Callable[[int, int], None]  # gets the epoch and the iteration
Notes = Callable[[], Sequence[str]]
ALONE = Ranks()


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
        ranks: the processes that share the training.
        notes: what the task has to say of the epoch that has ended.

    Attributes:
        is_stopped: SIGTERM has ended the run before its time.
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
        ranks: Ranks = ALONE,
        notes: Notes | None = None,
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
        self.ranks = ranks
        self.stepped = Stepped(model, step)
        self.network = ranks.parallel(self.stepped)
        self.position = Position()
        self.guard = StepGuard(options.max_nan_steps)
        self.notes = notes
        self.stopwatch = Stopwatch()
        self.stop_request = StopRequest()
        self.is_stopped = False
        self.watchdog = Watchdog(options.watchdog)
        self.best = {
            name: Best(key, higher)
            for name, (key, higher) in (options.best or {}).items()
        }
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.scaler = torch.amp.GradScaler(
            precision.device.type, enabled=precision.autocast == torch.float16
        )
        self._started = time.monotonic()

    @cached_property
    def fingerprint(self) -> list[int]:
        """Numbers that tell other data, or another order of it."""
        return [self.train.fingerprint(), self.valid.fingerprint()]

    def run(self) -> None:
        """Train until the last epoch or until no improvement is to be expected.

        SIGTERM ends it early, with a snapshot from which the next run goes on exactly.
        """
        self._started = time.monotonic()
        self.report.progress.start(self.position.iteration)
        with self.watchdog, self.stop_request:
            if self.options.rehearse:
                self.model.train()
                rehearse(
                    *(self.model, self.optimizer, self.train.largest()),
                    lambda batch: self._accumulate(batch, is_last=True),
                )
            while not (self.is_stopped or self._is_done()):
                self._run_epoch()
        if not self.is_stopped:
            self.report.say(self._conclusion())

    def _is_done(self) -> bool:
        return self.position.epoch >= self.options.epochs or self.early_stop.stop

    def _conclusion(self) -> str:
        reasons = ["all epochs done"]
        if self.early_stop.stop:
            key, patience = self.early_stop.best.key, self.early_stop.patience
            reasons = [f"{patience} without a better {key}"]
        if self.guard.skipped:
            reasons.append(f"{updates(self.guard.skipped)} left out as not finite")
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
        batches = self.train.epoch(position.epoch, start=position.batch)
        for batch in self.stopwatch.watch(batches):
            is_last = position.batch + 1 == len(self.train)
            is_full = is_last or len(group) + 1 == self.options.accum_grad
            group.append(self._accumulate(batch, is_full))
            position.batch += 1
            if is_full:
                self._update(group)
                group = []
                if not is_last:
                    self._between_updates()
            if self.is_stopped:
                self._stop()
                return
        self._end_epoch()

    def _accumulate(self, batch: BatchLike, is_last: bool) -> Pass:
        """Add the gradient of a minibatch, perhaps the last one of an update."""
        wait = nullcontext() if is_last else self.ranks.apart(self.network)
        with wait, memory_for(batch):
            loss, done = self._forward(batch, self.network)
            self.scaler.scale(loss / self.options.accum_grad).backward()
        if self.options.grad_noise:
            self._add_noise()
        return done

    def _forward(
        self, batch: BatchLike, network: torch.nn.Module
    ) -> tuple[Tensor, Pass]:
        """The loss, which has a gradient in training, and what came of the batch."""
        on_device = batch.to(self.precision.device, self.precision.dtype)
        with self._autocast(), sharing(self.ranks.size, batch.is_empty):
            loss, reported = network(on_device)
        if batch.is_empty:
            loss = loss * 0.0
        return loss, Pass(batch, loss.detach(), reported)

    def _autocast(self) -> torch.autocast:
        kind = self.precision.autocast
        device = self.precision.device.type
        return torch.autocast(device, dtype=kind, enabled=kind is not None)

    def _add_noise(self) -> None:
        """Neelakantan et al. 2015, arXiv:1511.06807, with a step each 100 updates.

        It depends on seed and place only, and so is the same in all processes.
        """
        position = self.position
        place = f"{self.options.seed} {position.epoch} {position.batch}"
        source = torch.Generator(self.precision.device)
        source.manual_seed(zlib.crc32(place.encode()))
        deviation = 1.0 / (position.iteration // 100 + 1) ** 0.55
        deviation *= self.scaler.get_scale()  # of float16, as the gradients have it
        for grad in (p.grad for p in self.parameters if p.grad is not None):
            noise = torch.empty_like(grad).normal_(generator=source)
            grad.add_(noise, alpha=deviation)

    def _update(self, group: list[Pass]) -> None:
        """Make one optimizer step of the gradients of some minibatches."""
        self.scaler.unscale_(self.optimizer)
        limit = self.options.grad_clip if self.options.grad_clip > 0 else float("inf")
        norm = clip_grad_norm_(self.parameters, limit)
        losses, values, norm_value = fetch(group, norm)
        uttids = [() if p.batch.is_empty else p.batch.uttids for p in group]
        own = Outcome(losses, values, uttids, self.stop_request.is_made)
        every = together(self.ranks.gather(own))
        self.is_stopped = every.is_stopping
        is_scaled = self.scaler.is_enabled()
        if self.guard.accept(norm_value, every.losses, every.uttids, is_scaled):
            self.scaler.step(self.optimizer)
            if self.scheduler is not None:
                self.scheduler.step()
            for reported in every.values:
                self.report.observe(reported)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.position.iteration += 1
        self.watchdog.step()
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
        validation = self._validate(may_stop=True)
        if self.is_stopped:
            self._stop()
            return
        self.position.epoch += 1
        self.position.batch = 0
        epoch = self.position.epoch
        for name, best in self.best.items():
            if best.update(validation, epoch) and self.ranks.is_first:
                save(self.model.state_dict(), self._best_file(name))
        self._react(validation)
        self.report.close_epoch(epoch, validation)
        entry = self._row(validation)
        self.early_stop.update(entry, epoch)
        for hook in self.hooks:
            hook(epoch, self.position.iteration)
        notes = self.notes() if self.notes else ()
        self.report.say(health(self.report.history, self.stopwatch.epoch, notes))
        self._save_snapshot(f"snapshot.ep.{epoch}")

    def _stop(self) -> None:
        """Leave a snapshot, as this run is asked to end."""
        name = f"snapshot.iter.{self.position.iteration}"
        self._save_snapshot(name)
        self.report.say(
            f"stopped by SIGTERM after {updates(self.position.iteration)}; "
            f"{self.options.outdir / name} is written, the same command goes on from it"
        )

    @torch.no_grad()
    def _validate(self, may_stop: bool = False) -> Entry:
        """Means over the validation minibatches of what the model reports.

        With ``may_stop`` a request to stop is looked at after each of them.
        """
        self.model.eval()
        parts: list[dict[str, float]] = []
        for batch in self.valid.epoch(0):
            with memory_for(batch):
                loss, done = self._forward(batch, self.stepped)
            losses, values, _ = fetch([done], loss)
            if losses[0] != losses[0]:
                logging.warning("validation: loss is NaN for %s", batch.describe())
            parts += values
            self.watchdog.step()
            if may_stop and self.ranks.any(self.stop_request.is_made):
                self.is_stopped = True
                break
        self.model.train()
        means = Means()
        for of_batch in zip(*self.ranks.gather(parts), strict=True):
            means.add(mean(of_batch))
        return means.result(VALID)

    def _react(self, validation: Entry) -> None:
        reaction = self.options.reaction
        if reaction is None or not self.has_eps:
            return
        if not self.best[reaction.metric].is_worse(validation):
            return
        if reaction.put_back:
            path = self._best_file(reaction.metric)
            if self.ranks.is_first:
                load_weights(self.model, load(path), str(path))
            self.ranks.spread(self.model)
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
        more = {**validation, **eps, **self.stopwatch.row()}
        return self.report.row(counters, more, done)

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
        content["trainer"]["random"] = self.ranks.gather(random_state())
        if not self.ranks.is_first:
            return
        save(content, self.options.outdir / name)
        if keep := self.options.keep_snapshots:
            place = self.position
            drop_snapshots(self.options.outdir, keep, place.epoch, place.iteration)

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
        of_ranks = state["random"]
        of_ranks = [of_ranks] if isinstance(of_ranks, dict) else of_ranks
        if self.ranks.rank < len(of_ranks):
            set_random_state(of_ranks[self.ranks.rank])
