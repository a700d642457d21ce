"""Sentences of a text as token ids, and minibatches of them."""

from __future__ import annotations

import logging
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from espnet.nets.lm_interface import IGNORE
from espnet.text.dictionary import UNK, Dictionary
from espnet.utils.errors import UserError
from espnet.utils.hdf5 import h5py, reading, writing
from espnet.utils.lines import read_lines

PAD = 0  # of inputs


@dataclass(frozen=True)
class Text:
    """The sentences of a file.

    Attributes:
        path: the file.
        ids: tokens of all sentences, one behind the other (int32).
        ends: where each sentence ends in ``ids`` (int64).
        oovs: tokens that the dictionary lacks.
    """

    path: str
    ids: np.ndarray
    ends: np.ndarray
    oovs: int

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> np.ndarray:
        """The tokens of a sentence."""
        start = self.ends[number - 1] if number else 0
        return self.ids[start : self.ends[number]]

    def lengths(self) -> np.ndarray:
        """Tokens of each sentence."""
        return np.diff(self.ends, prepend=0)

    def describe(self) -> str:
        """Its sizes, for the log."""
        share = 100 * self.oovs / max(1, len(self.ids))
        return (
            f"{self.path}: {len(self):,} sentences, {len(self.ids):,} tokens, "
            f"{share:.2f} % of them not in the dictionary"
        )


def read_text(path: str, dictionary: Dictionary) -> Text:
    """Read a text, a sentence a line; only its numbers are kept in memory.

    Raises:
        UserError: it cannot be read or is empty.
    """
    ids, ends = array("i"), array("q")
    for _, line in read_lines(path):
        ids.extend(dictionary.ids(line.split()))
        ends.append(len(ids))
    if not ids:
        raise UserError(f"{path}: holds no token; it must have a sentence in each line")
    numbers = np.frombuffer(ids, dtype=np.int32)
    oovs = int((numbers == dictionary.ids([UNK])[0]).sum())
    text = Text(path, numbers, np.frombuffer(ends, dtype=np.int64), oovs)
    logging.info(text.describe())
    return text


def cached_text(path: str, dictionary: Dictionary, folder: str) -> Text:
    """:func:`read_text`, or what it gave before, from ``<folder>/<name>.h5``.

    A cache that was made of another version of the text, or with another dictionary, is
    made anew; one of ESPnet1, which does not say, is believed if its ids can be those
    of the dictionary.

    Raises:
        UserError: h5py is not installed, or the cache is damaged.
    """
    numbers = h5py("dump-hdf5-path").vlen_dtype(np.dtype("int32"))
    place = Path(folder) / f"{Path(path).name}.h5"
    origin = _origin(path, dictionary)
    if place.is_file():
        try:
            with reading(place) as cache:
                if cache.attrs.get("origin", origin) == origin:
                    text = _from_cache(path, cache)
                    if len(text.ids) and text.ids.max() < dictionary.odim - 1:
                        return text
        except (UserError, OSError, KeyError) as error:
            raise UserError(
                f"{place}: is no cache of a text ({error}); delete it"
            ) from None
        logging.info("%s: is of another text or dictionary, made anew", place)
    text = read_text(path, dictionary)
    with writing(place) as cache:
        data = cache.create_dataset("data", (len(text),), dtype=numbers)
        for number in range(len(text)):
            data[number] = text[number]
        cache["n_tokens"] = len(text.ids)
        cache["n_oovs"] = text.oovs
        cache.attrs["origin"] = origin
    return text


def _origin(path: str, dictionary: Dictionary) -> str:
    """What tells other contents of a text or a dictionary."""
    status = Path(path).stat()
    tokens = zlib.crc32("\n".join(dictionary.tokens).encode())
    return f"{status.st_size} {status.st_mtime_ns} {tokens}"


def _from_cache(path: str, cache: Any) -> Text:
    sentences = cache["data"]
    parts = [np.asarray(s, dtype=np.int32) for s in sentences]
    ids = np.concatenate([np.empty(0, np.int32), *parts])
    ends = np.cumsum([len(s) for s in sentences], dtype=np.int64)
    return Text(path, ids, ends, int(cache["n_oovs"][()]))


def cut_sentences(lengths: np.ndarray, batchsize: int, maxlen: int) -> list[list[int]]:
    """Numbers of the sentences of each minibatch.

    They are sorted from long to short, unless ``batchsize`` is 1.

    Args:
        lengths: tokens of each sentence.
        batchsize: sentences in a minibatch whose longest is shorter than ``maxlen``;
            half of them from there, a third from twice ``maxlen``, and so on.
    """
    if batchsize == 1:
        return [[number] for number in range(len(lengths))]
    order = np.argsort(-lengths, kind="stable")
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = max(batchsize // (longest // maxlen + 1), 1)
        batches.append(order[start : start + size].tolist())
        start += size
    return batches


@dataclass(frozen=True)
class SentenceBatch:
    """A minibatch of sentences.

    Attributes:
        uttids: ``file:line`` of each.
        x: start symbol and tokens (B, L), padded with 0.
        t: tokens and end symbol (B, L), padded with -100.
        is_empty: the sentences stand for none, see :class:`SentenceLoader`.
    """

    uttids: tuple[str, ...]
    x: Tensor
    t: Tensor
    is_empty: bool = False

    remedy: ClassVar[str] = "lower --batchsize or --maxlen"

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """What a model's ``forward`` takes."""
        return self.x, self.t

    def to(self, device: torch.device, dtype: torch.dtype) -> SentenceBatch:
        """The batch on a device."""
        return replace(
            self,
            x=self.x.to(device, non_blocking=True),
            t=self.t.to(device, non_blocking=True),
        )

    def describe(self) -> str:
        """Sizes and lines, for messages."""
        shown = ", ".join(self.uttids[:5]) + (", ..." if len(self.uttids) > 5 else "")
        return (
            f"{len(self.uttids)} sentences of up to {self.x.shape[1]} tokens: {shown}"
        )


class SentenceLoader:
    """Minibatches of a text, epoch by epoch.

    Args:
        text: the sentences.
        batches: what :func:`cut_sentences` made.
        eos: start and end symbol.
        shuffle: mix the batches in each epoch.
        in_order: epochs at the start that go from short to long; -1: all do.
        seed: of the order.
        part: which part of each minibatch is made, and how many there are, where
            several processes share them. One that would be without sentences has one
            that does not count.
    """

    def __init__(
        self,
        text: Text,
        batches: Sequence[Sequence[int]],
        eos: int,
        *,
        shuffle: bool = False,
        in_order: int = 0,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.text = text
        self.batches = batches
        self.eos = eos
        self.shuffle = shuffle
        self.in_order = in_order
        self.seed = seed
        self.part = part

    def __len__(self) -> int:
        """Minibatches per epoch."""
        return len(self.batches)

    def order(self, epoch: int) -> list[int]:
        """The numbers of the batches in the order of an epoch (0 is the first)."""
        if not self.shuffle:
            return list(range(len(self)))
        if self.in_order < 0 or epoch < self.in_order:
            lengths = self.text.lengths()
            longest = [int(lengths[batch].max()) for batch in self.batches]
            return sorted(range(len(self)), key=longest.__getitem__)
        mixed = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return [int(i) for i in mixed]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[SentenceBatch]:
        """The batches of an epoch, from the ``start``-th of its order on."""
        for number in self.order(epoch)[start:]:
            yield self.batch(self.batches[number])

    def largest(self) -> Iterator[SentenceBatch]:
        """The minibatch with the most padded tokens."""
        lengths = self.text.lengths()
        yield self.batch(
            max(self.batches, key=lambda batch: len(batch) * int(lengths[batch].max()))
        )

    def batch(self, numbers: Sequence[int]) -> SentenceBatch:
        """The part of a minibatch of some sentences, padded as the whole."""
        part, parts = self.part
        longest = max(len(self.text[number]) for number in numbers) + 1
        is_empty = len(numbers) <= part
        numbers = numbers[part::parts] or numbers[:1]
        sentences = [self.text[number] for number in numbers]
        x = np.full((len(numbers), longest), PAD, dtype=np.int64)
        t = np.full_like(x, IGNORE)
        for row, tokens in enumerate(sentences):
            x[row, 0] = t[row, len(tokens)] = self.eos
            x[row, 1 : len(tokens) + 1] = t[row, : len(tokens)] = tokens
        names = tuple(f"{self.text.path}:{number + 1}" for number in numbers)
        return SentenceBatch(names, torch.from_numpy(x), torch.from_numpy(t), is_empty)

    def fingerprint(self) -> int:
        """A number that tells another text, other batches or another order of them."""
        crc = zlib.crc32(f"{self.shuffle} {self.in_order} {self.seed}".encode())
        crc = zlib.crc32(self.text.ids.tobytes(), crc)
        for batch in self.batches:
            crc = zlib.crc32(np.array([*batch, -1], dtype=np.int64).tobytes(), crc)
        return crc
