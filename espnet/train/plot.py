"""Pictures and tensorboard events, made by another process while training goes on.

The training process only hands over numbers. A thread of it feeds the pipe, so that not
even a slow disk holds training up; of several pending pictures with one name only the
last is made, and where drawing cannot keep up with short epochs, pictures of earlier
epochs are left out. When the training process ends, in whatever way, the other one
reads the end of the pipe, finishes and ends too. This module imports no torch.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from espnet.train.figures import draw_attention, draw_curves, draw_posteriors, to_png
from espnet.train.report import TRAIN, VALID, Entry
from espnet.utils.files import atomic_write
from espnet.utils.log import setup_logging

LOW_PRIORITY = 10  # of the drawing process: training goes first
CROWDED = 50  # with so many orders waiting, earlier epochs give way to the newest


class Job(Protocol):
    """Something for the drawing process to do."""

    def run(self, events: Events) -> None:
        """Do it."""


@dataclass(frozen=True)
class Scalars:
    """Values for tensorboard."""

    values: Mapping[str, float]
    step: int

    def run(self, events: Events) -> None:
        """Write them."""
        for name, value in self.values.items():
            events.writer.add_scalar(name, value, self.step)


@dataclass(frozen=True)
class Curves:
    """A picture of values per epoch."""

    path: Path
    series: Mapping[str, tuple[Sequence[int], Sequence[float]]]

    def run(self, events: Events) -> None:
        """Draw it."""
        _save(self.path, to_png(draw_curves(self.series, self.path.stem))[0])


@dataclass(frozen=True)
class Picture:
    """Attention weights (L, T) or (H, L, T), or CTC posteriors (T, V) of an utterance.

    Attributes:
        path: of the PNG file.
        kind: a key of ``DRAWERS``.
        array: what is drawn.
        tokens: names of the rows (attention) or columns (posteriors).
        tag: name in tensorboard.
        step: iteration.
        keep_array: write the array as ``.npy`` beside the picture.
    """

    path: Path
    kind: str
    array: np.ndarray
    tokens: Sequence[str]
    tag: str
    step: int
    keep_array: bool

    def run(self, events: Events) -> None:
        """Draw it, keep the array, show it in tensorboard."""
        if self.keep_array:
            with atomic_write(self.path.with_suffix(".npy"), "wb") as stream:
                np.save(stream, self.array)
        title = self.path.stem
        png, pixels = to_png(DRAWERS[self.kind](self.array, self.tokens, title))
        _save(self.path, png)
        if events.directory:
            events.writer.add_image(self.tag, pixels, self.step, dataformats="HWC")


DRAWERS = {"attention": draw_attention, "ctc": draw_posteriors}


@dataclass
class Events:
    """Tensorboard's event files, opened when the first event comes."""

    directory: str | None
    first_step: int  # events after it are of an interrupted run and will be hidden
    _writer: Any = field(default=None)

    @property
    def writer(self) -> Any:
        """The ``SummaryWriter``."""
        if self._writer is None:
            from tensorboardX import SummaryWriter

            purge = self.first_step + 1 if self.first_step else None
            self._writer = SummaryWriter(self.directory, purge_step=purge)
        return self._writer

    def close(self) -> None:
        """Write what is pending."""
        if self._writer is not None:
            self._writer.close()


class Studio:
    """Takes orders for pictures and events; leaving its context waits for them.

    Args:
        tensorboard_dir: where events go; None: nowhere.
    """

    def __init__(self, tensorboard_dir: str | None = None) -> None:
        self.tensorboard_dir = tensorboard_dir
        self._first_step = 0
        self._pending: OrderedDict[str, Job] = OrderedDict()
        self._left_out = 0
        self._condition = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Studio:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._condition:
            self._closed = True
            if kind is KeyboardInterrupt:
                self._pending.clear()
            self._condition.notify()
        if self._thread is not None:
            if len(self._pending) > 10:
                logging.info("%d pictures are still to be drawn", len(self._pending))
            self._thread.join()
        if self._left_out:
            logging.info(
                "pictures of earlier epochs left out: %d; epochs were shorter than "
                "drawing them takes",
                self._left_out,
            )

    def begin(self, step: int) -> None:
        """Say at which iteration the run starts; later events are drawn over."""
        self._first_step = step

    def scalars(self, entry: Entry) -> None:
        """Show a row of the log in tensorboard."""
        if self.tensorboard_dir:
            step = int(entry["iteration"])
            counters = ("epoch", "iteration", "elapsed_time")
            values = {k: v for k, v in entry.items() if k not in counters}
            self.post(f"scalars {step}", Scalars(values, step))

    def curves(
        self,
        outdir: Path,
        names: Mapping[str, Sequence[str]],
        history: Sequence[Entry],
    ) -> None:
        """Draw ``<outdir>/<name>.png`` for each name that has values.

        Args:
            names: picture -> reported values that it shows, of training and validation.
            history: one entry per epoch.
        """
        for picture, values in names.items():
            series = {}
            for key in (prefix + v for v in values for prefix in (TRAIN, VALID)):
                points = [(int(e["epoch"]), e[key]) for e in history if key in e]
                if points:
                    epochs, numbers = zip(*points, strict=True)
                    series[key] = (epochs, numbers)
            if series:
                path = outdir / f"{picture}.png"
                self.post(str(path), Curves(path, series))

    def post(self, name: str, job: Job) -> None:
        """Order a job; an order of the same name that has not begun is dropped.

        A name may end in ``.ep.N.png``. In a crowd, an order of the same name but for N
        is dropped as well.
        """
        with self._condition:
            if len(self._pending) >= CROWDED:
                self._leave_out(name.rpartition(".ep.")[0])
            self._pending[name] = job
            self._condition.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._feed, daemon=True)
            self._thread.start()

    def _leave_out(self, subject: str) -> None:
        """Drop the waiting pictures of ``subject``."""
        older = [n for n in self._pending if subject and n.startswith(f"{subject}.ep.")]
        for name in older:
            del self._pending[name]
        self._left_out += len(older)

    def _feed(self) -> None:
        """Start the drawing process and hand it one job after the other."""
        context = multiprocessing.get_context("spawn")
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(
            target=_work,
            args=(reader, self.tensorboard_dir, self._first_step),
            daemon=True,
        )
        try:
            process.start()
            reader.close()
            while (job := self._next()) is not None:
                writer.send(job)
        except OSError as error:
            logging.warning("no more plots: the drawing process has gone (%s)", error)
        finally:
            writer.close()
        process.join()

    def _next(self) -> Job | None:
        with self._condition:
            while not self._pending and not self._closed:
                self._condition.wait()
            return self._pending.popitem(last=False)[1] if self._pending else None


def _work(jobs: Connection, tensorboard_dir: str | None, first_step: int) -> None:
    """The drawing process: do jobs until the pipe ends; a failure is only told once."""
    for request in (signal.SIGINT, signal.SIGTERM):  # the training process decides
        signal.signal(request, signal.SIG_IGN)
    os.nice(LOW_PRIORITY)
    setup_logging(0)
    events = Events(tensorboard_dir, first_step)
    told: set[str] = set()
    while True:
        try:
            job: Job = jobs.recv()
        except EOFError:
            break
        try:
            job.run(events)
        except Exception as error:  # a picture must never end a training
            reason = f"{type(error).__name__}: {error}"
            if reason not in told:
                logging.warning("%s not made: %s", type(job).__name__, reason)
            told.add(reason)
    events.close()


def _save(path: Path, png: bytes) -> None:
    with atomic_write(path, "wb") as stream:
        stream.write(png)
