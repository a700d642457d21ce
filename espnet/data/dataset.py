"""Reading minibatches: what a loader hands to the training loop.

Everything random (the order of batches, augmentation) depends on the seed, the epoch
and the utterance only; neither the number of worker processes nor an interruption
changes it.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from espnet.data.collate import Batch, collate
from espnet.data.loading import load_features
from espnet.utils.batchfy import Item, Minibatch
from espnet.utils.errors import DataError, UserError

AHEAD = 2  # minibatches that a worker process reads ahead


class Transform(Protocol):
    """On-the-fly preprocessing, such as :class:`espnet.transform.Transformation`."""

    def reseed(self, seed: int) -> None:
        """Start the random numbers anew."""

    def __call__(
        self, xs: list[np.ndarray], uttids: list[str], *, train: bool
    ) -> list[np.ndarray]:
        """Process the arrays of some utterances."""


class UtteranceReader:
    """Reads one utterance's features and labels from what data.json says of it.

    Args:
        transform: applied to the features.
        train: whether the transform may augment.
        seed: of the transform's random numbers.
        idim: the feature dimension that is expected after it; None takes any. A list
            for models of several inputs, which are then read together.
    """

    def __init__(
        self,
        transform: Transform | None = None,
        train: bool = False,
        seed: int = 0,
        idim: int | Sequence[int] | None = None,
    ) -> None:
        self.transform = transform
        self.train = train
        self.seed = seed
        self.idims = [idim] if idim is None or isinstance(idim, int) else list(idim)

    def features(self, uttid: str, entry: dict[str, Any], epoch: int = 0) -> np.ndarray:
        """The features (T, D) of an utterance's first input; see :meth:`inputs`."""
        return self.inputs(uttid, entry, epoch)[0]

    def inputs(
        self, uttid: str, entry: dict[str, Any], epoch: int = 0
    ) -> list[np.ndarray]:
        """The features (T, D) of each input of an utterance, as they are in some epoch.

        Raises:
            UserError: unreadable, without frames, or not of dimension ``idim``.
        """
        sources = entry["input"][: len(self.idims)]
        try:
            xs = [load_features(s["feat"], s.get("filetype", "mat")) for s in sources]
            if self.transform is not None:
                seed = zlib.crc32(f"{self.seed} {epoch} {uttid}".encode())
                self.transform.reseed(seed)
                xs = self.transform(xs, [uttid] * len(xs), train=self.train)
        except UserError as error:
            raise UserError(f"utterance '{uttid}': {error}") from None
        if len(xs) < len(self.idims):
            raise UserError(
                f"utterance '{uttid}': has {len(xs)} inputs, the model needs "
                f"{len(self.idims)}"
            )
        for x, source, idim in zip(xs, sources, self.idims, strict=True):
            _check(x, uttid, source["feat"], idim)
        return xs

    @staticmethod
    def labels(entry: dict[str, Any]) -> np.ndarray:
        """The token ids (L,) of an utterance."""
        return np.array(entry["output"][0]["tokenid"].split(), dtype=np.int64)


def _check(x: np.ndarray, uttid: str, place: str, idim: int | None) -> None:
    if x.ndim != 2 or idim not in (None, x.shape[1]):
        raise UserError(
            f"utterance '{uttid}': features at {place} have shape {x.shape}, the "
            f"model needs (frames, {idim or 'features'}); make them as for training"
        )
    if len(x) == 0:
        raise UserError(f"utterance '{uttid}': has no frames; drop it from the data")


@dataclass(frozen=True)
class _Outcome:
    """A minibatch, if any of its utterances can be read, and what is wrong with others.

    Errors travel as texts: exceptions lose their form on the way out of a process.
    """

    batch: Batch | None
    problems: dict[str, str]  # utterance id -> message


class _BatchDataset(Dataset):
    """Reads minibatches.

    They are handed to it one by one. If worker processes held them all, each would in
    time copy the whole manifest, because Python counts references inside of objects.
    """

    def __init__(self, reader: UtteranceReader, subsample: int) -> None:
        self.reader = reader
        self.subsample = subsample

    def __getitem__(self, item: tuple[int, Minibatch]) -> _Outcome:
        epoch, batch = item
        inputs: dict[str, list[np.ndarray]] = {}
        problems: dict[str, str] = {}
        for uttid, entry in sorted(batch, key=_place):
            try:
                inputs[uttid] = self.reader.inputs(uttid, entry, epoch)
            except UserError as error:
                problems[uttid] = str(error)
        read = [(uttid, entry) for uttid, entry in batch if uttid in inputs]
        if not read:
            return _Outcome(None, problems)
        streams = zip(*(inputs[uttid] for uttid, _ in read), strict=True)
        collated = collate(
            [uttid for uttid, _ in read],
            *streams,
            labels=[self.reader.labels(entry) for _, entry in read],
            subsample=self.subsample,
        )
        return _Outcome(collated, problems)


def _place(item: Item) -> tuple[str, int]:
    """File and offset: read in this order, a file is read from front to back."""
    place = item[1]["input"][0]["feat"]
    path, _, offset = place.rpartition(":")
    return (path, int(offset)) if offset.isdigit() else (place, 0)


class _Order(Sampler[tuple[int, Minibatch]]):
    """The minibatches of the epoch that comes next."""

    def __init__(self) -> None:
        self.items: list[tuple[int, Minibatch]] = []

    def __iter__(self) -> Iterator[tuple[int, Minibatch]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def _begin_worker(_: int) -> None:
    """Let the garbage collector leave alone what the worker shares with its parent.

    SIGTERM that a queue sends to all processes is for the parent to answer, which still
    needs the worker for its last step; the worker obeys its parent alone.
    """
    gc.freeze()
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        parent = os.getppid()
        threading.Thread(target=_await_end, args=(parent,), daemon=True).start()


def _await_end(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


class BatchLoader:
    """Minibatches as tensors, epoch by epoch.

    Args:
        batches: what :func:`espnet.utils.batchfy.cut_batches` made.
        reader: reads an utterance.
        subsample: the model's ``subsample_input``.
        shuffle: mix the batches in each epoch.
        in_order: epochs at the start that are not mixed (sortagrad); -1: none is.
        seed: of the order.
        workers: processes that read ahead, each at most ``AHEAD`` minibatches; 0 reads
            in this one.
        pin_memory: for batches that go to a GPU.
        skip_bad: leave out utterances that cannot be read, and name them. A minibatch
            of which nothing is left is replaced by the next one that can be read.
        part: which part of each minibatch is read, and how many there are, where
            several processes share them.
    """

    def __init__(
        self,
        batches: Sequence[Minibatch],
        reader: UtteranceReader,
        *,
        subsample: int = 1,
        shuffle: bool = False,
        in_order: int = 0,
        seed: int = 0,
        workers: int = 0,
        pin_memory: bool = False,
        skip_bad: bool = False,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.batches = batches
        self.reader = reader
        self.shuffle = shuffle
        self.in_order = in_order
        self.seed = seed
        self.skip_bad = skip_bad
        self.part = part
        self._named: set[str] = set()  # utterances that were left out
        self._begun: dict[int, Iterator[_Outcome]] = {}  # the epoch read ahead, if any
        self._order = _Order()
        self._dataset = _BatchDataset(reader, subsample)
        self._loader = DataLoader(
            self._dataset,
            batch_size=None,
            sampler=self._order,
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=_begin_worker,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # its own: the global one is the model's
        )

    def __len__(self) -> int:
        """Minibatches per epoch."""
        return len(self.batches)

    def order(self, epoch: int) -> list[int]:
        """The numbers of the batches in the order of an epoch (0 is the first)."""
        if not self.shuffle or self.in_order < 0 or epoch < self.in_order:
            return list(range(len(self)))
        mixed = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return [int(i) for i in mixed]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from the ``start``-th of its order on.

        At its end worker processes begin with the next one, so that training has not
        to wait for them after validation.

        Raises:
            UserError: an utterance that cannot be read, if they are not skipped; or
                all of them.
        """
        numbers = self.order(epoch)[start:]
        is_begun = start == 0 and epoch in self._begun
        outcomes = self._begun[epoch] if is_begun else self._begin(epoch, numbers)
        self._begun.clear()
        for number, outcome in zip(numbers, self._outcomes(outcomes), strict=True):
            self._tell(outcome.problems)
            batch = outcome.batch or self._replacement(epoch, number, outcome)
            is_empty = len(self.batches[number]) <= self.part[0]
            yield replace(batch, is_empty=True) if is_empty else batch
        if self.shuffle and self._loader.num_workers:
            self._begun[epoch + 1] = self._begin(epoch + 1, self.order(epoch + 1))

    def _begin(self, epoch: int, numbers: Sequence[int]) -> Iterator[_Outcome]:
        """Let the workers read minibatches; what they read of others is dropped."""
        self._order.items = [(epoch, self._own(number)) for number in numbers]
        return iter(self._loader)

    def _own(self, number: int) -> Minibatch:
        """The part of a minibatch that this process reads, of short and long ones."""
        batch, (part, parts) = self.batches[number], self.part
        return batch[part::parts] or batch[:1]

    def largest(self) -> Iterator[Batch]:
        """The minibatches with the most padded frames, nodes (frames times labels) and
        squared frames, which models need memory for."""

        def sizes(number: int) -> tuple[int, int, int]:
            batch = self.batches[number]
            frames = max(int(e["input"][0]["shape"][0]) for _, e in batch)
            labels = max(int(e["output"][0]["shape"][0]) for _, e in batch)
            count = len(batch)
            return count * frames, count * frames * labels, count * frames**2

        every = [sizes(number) for number in range(len(self))]
        numbers = {max(range(len(self)), key=lambda n: every[n][i]) for i in range(3)}
        for number in sorted(numbers):
            outcome = self._dataset[0, self._own(number)]
            self._tell(outcome.problems)  # not fewer than the other processes have
            yield outcome.batch or self._replacement(0, number, outcome)

    @staticmethod
    def _outcomes(outcomes: Iterator[_Outcome]) -> Iterator[_Outcome]:
        try:
            yield from outcomes
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UserError(
                "n-iter-processes: a reading process was killed, perhaps because "
                "memory or shared memory (/dev/shm) is full; use fewer of them, "
                f"smaller minibatches, or --n-iter-processes 0 ({error})"
            ) from None

    def _tell(self, problems: Mapping[str, str]) -> None:
        """Name what cannot be read, once.

        Raises:
            UserError: it is not to be skipped.
        """
        if problems and not self.skip_bad:
            remedy = "--skip-bad-utterances true trains without such utterances"
            raise DataError([*problems.values(), remedy])
        for uttid, message in problems.items():
            if uttid not in self._named:
                self._named.add(uttid)
                logging.warning("%s; left out (%d so far)", message, len(self._named))

    def _replacement(self, epoch: int, number: int, failed: _Outcome) -> Batch:
        """The first minibatch after ``number`` of which something can be read."""
        for step in range(1, len(self)):
            outcome = self._dataset[epoch, self._own((number + step) % len(self))]
            self._tell(outcome.problems)
            if outcome.batch is not None:
                return outcome.batch
        last = next(iter(failed.problems.values()))
        raise UserError(f"no utterance can be read, for instance: {last}")

    def fingerprint(self) -> int:
        """A number that tells other batches or another order of them."""
        crc = zlib.crc32(f"{self.shuffle} {self.in_order} {self.seed}".encode())
        for batch in self.batches:
            for uttid, entry in batch:
                shape = entry["input"][0]["shape"]
                tokens = entry["output"][0].get("tokenid")
                crc = zlib.crc32(f"{uttid} {shape} {tokens}".encode(), crc)
            crc = zlib.crc32(b"\n", crc)
        return crc
