"""Cepstral mean and variance normalisation with Kaldi's statistics.

Statistics are a float64 matrix (2, D + 1): sums and, in the last column, the number of
frames; then sums of squares and a zero.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from espnet.utils.errors import UserError
from espnet.utils.lines import split_words

VARIANCE_FLOOR = 1e-20


def cmvn_stats(feats: np.ndarray, place: str = "features") -> np.ndarray:
    """Statistics (2, D + 1) of features (T, D); ``place`` stands in messages.

    Raises:
        UserError: it is no matrix, but sound for example.
    """
    if feats.ndim != 2:
        raise UserError(
            f"{place}: an array of shape {feats.shape} where (frames, dimensions) is"
            " expected; sounds become that by --preprocess-conf"
        )
    wide = feats.astype(np.float64)
    stats = np.zeros((2, feats.shape[1] + 1))
    stats[0, :-1], stats[0, -1] = wide.sum(axis=0), len(feats)
    stats[1, :-1] = np.square(wide).sum(axis=0)
    return stats


def sum_stats(table: Iterable[tuple[str, np.ndarray]], name: str) -> np.ndarray:
    """Statistics of all features of a table, one utterance in memory at a time.

    Raises:
        UserError: no features, features of different dimensions, or not finite.
    """
    total: np.ndarray | None = None
    for key, feats in table:
        stats = cmvn_stats(feats, f"{name}: {key}")
        if not np.isfinite(stats).all():
            raise UserError(f"{name}: {key}: has NaN or infinite values")
        if total is not None and total.shape != stats.shape:
            raise UserError(
                f"{name}: {key}: has {stats.shape[1] - 1} dimensions, those before "
                f"have {total.shape[1] - 1}"
            )
        total = stats if total is None else total + stats
    if total is None:
        raise UserError(f"{name}: holds no features, so there is nothing to count")
    return total


@dataclass(frozen=True)
class Cmvn:
    """A normalisation ``(x - mean) * scale``, ready to apply."""

    mean: np.ndarray  # (D,)
    scale: np.ndarray  # (D,)
    reverse: bool = False

    @classmethod
    def from_stats(
        cls,
        stats: np.ndarray,
        name: str,
        *,
        norm_means: bool = True,
        norm_vars: bool = False,
        reverse: bool = False,
    ) -> Cmvn:
        """Derive mean and scale from statistics; ``name`` stands in messages.

        Raises:
            UserError: not statistics (2, D + 1) of at least one frame.
        """
        if stats.ndim != 2 or len(stats) != 2 or not stats[0, -1] > 0:
            raise UserError(
                f"{name}: holds no CMVN statistics (2 rows, the last column counts the "
                f"frames), but an array of shape {stats.shape}"
            )
        mean = stats[0, :-1] / stats[0, -1]
        variance = stats[1, :-1] / stats[0, -1] - np.square(mean)
        floored = int((variance < VARIANCE_FLOOR).sum())
        if norm_vars and floored:
            logging.warning("%s: %d dimensions never vary", name, floored)
        scale = 1.0 / np.sqrt(np.maximum(variance, VARIANCE_FLOOR))
        return cls(
            (mean if norm_means else np.zeros_like(mean)).astype(np.float32),
            (scale if norm_vars else np.ones_like(scale)).astype(np.float32),
            reverse,
        )

    def __call__(self, feats: np.ndarray) -> np.ndarray:
        """Normalise (T, D), or undo that with ``reverse``.

        Raises:
            UserError: D differs from that of the statistics.
        """
        if feats.shape[1] != len(self.mean):
            raise UserError(
                f"features have {feats.shape[1]} dimensions, the CMVN statistics have "
                f"{len(self.mean)}; compute them from the same kind of features"
            )
        if self.reverse:
            return feats / self.scale + self.mean
        return (feats - self.mean) * self.scale


def speaker_stats(
    table: Iterable[tuple[str, np.ndarray]],
    spk2utt: Mapping[str, str] | None,
    name: str,
) -> Iterator[tuple[str, np.ndarray]]:
    """Statistics of each utterance, or of each speaker of ``spk2utt``.

    Raises:
        UserError: an utterance without speaker, a speaker without features.
    """
    if spk2utt is None:
        for key, feats in table:
            yield key, cmvn_stats(feats, f"{name}: {key}")
        return
    speakers = {utt: spk for spk, utts in spk2utt.items() for utt in split_words(utts)}
    totals: dict[str, np.ndarray] = {}
    for key, feats in table:
        if key not in speakers:
            raise UserError(f"{name}: {key}: belongs to no speaker of spk2utt")
        stats = cmvn_stats(feats, f"{name}: {key}")
        speaker = speakers[key]
        totals[speaker] = stats + totals[speaker] if speaker in totals else stats
    for speaker in spk2utt:
        if speaker not in totals:
            raise UserError(f"{name}: speaker '{speaker}' of spk2utt has no features")
        yield speaker, totals[speaker]


def utterance_cmvn(
    stats: Iterable[tuple[str, np.ndarray]],
    name: str,
    utt2spk: Mapping[str, str] | None,
    **how: bool,
) -> Callable[[str, np.ndarray], np.ndarray]:
    """A function (utterance, features) -> features with the statistics of its speaker.

    Args:
        stats: (speaker, statistics), or (utterance, statistics) without ``utt2spk``.
        name: of the statistics, for messages.
        utt2spk: utterance -> speaker.
        how: see :meth:`Cmvn.from_stats`.
    """
    table = {key: Cmvn.from_stats(one, f"{name}: {key}", **how) for key, one in stats}

    def normalise(utterance: str, feats: np.ndarray) -> np.ndarray:
        speaker = utterance if utt2spk is None else utt2spk.get(utterance)
        if speaker not in table:
            raise UserError(
                f"{name}: has no statistics for '{utterance}'"
                + (f" (speaker '{speaker}')" if utt2spk is not None else "")
            )
        return table[speaker](feats)

    return normalise
