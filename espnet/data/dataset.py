"""Reading minibatches: what a loader hands to the training loop.

Everything random (the order of batches, augmentation) depends on the seed, the epoch
and the utterance only; neither the number of worker processes nor an interruption
changes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from espnet.data.collate import Batch, collate
from espnet.data.loading import load_features
from espnet.utils.batchfy import Minibatch
from espnet.utils.errors import UserError

Index = tuple[int, int]  # epoch (0 is the first) and number of the minibatch


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
        idim: the feature dimension that is expected after it; None takes any.
    """

    def __init__(
        self,
        transform: Transform | None = None,
        train: bool = False,
        seed: int = 0,
        idim: int | None = None,
    ) -> None:
        self.transform = transform
        self.train = train
        self.seed = seed
        self.idim = idim

    def features(self, uttid: str, entry: dict[str, Any], epoch: int = 0) -> np.ndarray:
        """The features (T, D) of an utterance as they are in some epoch.

        Raises:
            UserError: unreadable, without frames, or not of dimension ``idim``.
        """
        source = entry["input"][0]
        place = source["feat"]
        try:
            x = load_features(place, source.get("filetype", "mat"))
        except UserError as error:
            raise UserError(f"utterance '{uttid}': {error}") from None
        if self.transform is not None:
            self.transform.reseed(zlib.crc32(f"{self.seed} {epoch} {uttid}".encode()))
            x = self.transform([x], [uttid], train=self.train)[0]
        if x.ndim != 2 or self.idim not in (None, x.shape[1]):
            raise UserError(
                f"utterance '{uttid}': features at {place} have shape {x.shape}, the "
                f"model needs (frames, {self.idim or 'features'}); make them as for "
                "training"
            )
        if len(x) == 0:
            raise UserError(
                f"utterance '{uttid}': has no frames; drop it from the data"
            )
        return x

    @staticmethod
    def labels(entry: dict[str, Any]) -> np.ndarray:
        """The token ids (L,) of an utterance."""
        return np.array(entry["output"][0]["tokenid"].split(), dtype=np.int64)


@dataclass(frozen=True)
class _Failure:
    """An error on its way out of a worker process, where exceptions lose their form."""

    message: str


class _BatchDataset(Dataset):
    def __init__(
        self, batches: Sequence[Minibatch], reader: UtteranceReader, subsample: int
    ) -> None:
        self.batches = batches
        self.reader = reader
        self.subsample = subsample

    def __getitem__(self, index: Index) -> Batch | _Failure:
        epoch, number = index
        batch = self.batches[number]
        try:
            return collate(
                [uttid for uttid, _ in batch],
                [self.reader.features(utt, entry, epoch) for utt, entry in batch],
                [self.reader.labels(entry) for _, entry in batch],
                self.subsample,
            )
        except UserError as error:
            return _Failure(str(error))


class _Order(Sampler[Index]):
    """The indices of the epoch that comes next."""

    def __init__(self) -> None:
        self.indices: list[Index] = []

    def __iter__(self) -> Iterator[Index]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class BatchLoader:
    """Minibatches as tensors, epoch by epoch.

    Args:
        batches: what :func:`espnet.utils.batchfy.cut_batches` made.
        reader: reads an utterance.
        subsample: the model's ``subsample_input``.
        shuffle: mix the batches in each epoch.
        in_order: epochs at the start that are not mixed (sortagrad); -1: none is.
        seed: of the order.
        workers: processes that read ahead; 0 reads in this one.
        pin_memory: for batches that go to a GPU.
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
    ) -> None:
        self.batches = batches
        self.reader = reader
        self.shuffle = shuffle
        self.in_order = in_order
        self.seed = seed
        self._sampler = _Order()
        self._loader = DataLoader(
            _BatchDataset(batches, reader, subsample),
            batch_size=None,
            sampler=self._sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
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

        Raises:
            UserError: an utterance that cannot be read.
        """
        self._sampler.indices = [(epoch, i) for i in self.order(epoch)[start:]]
        for batch in self._loader:
            if isinstance(batch, _Failure):
                raise UserError(batch.message)
            yield batch

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
