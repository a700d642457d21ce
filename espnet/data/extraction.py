"""From the audio of a data directory to feature archives, one utterance at a time."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet.data.ark import open_ark_writer
from espnet.data.features import Seed, fbank, mfcc, paste, pitch
from espnet.data.kaldi_options import (
    FbankOptions,
    MelOptions,
    MfccOptions,
    PitchOptions,
    read_options,
)
from espnet.data.wavscp import AudioReader, iter_utterances
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import atomic_write

AUTOMATIC_COMPRESSION = 1  # as Kaldi's copy-feats --compress=true
REPORT_EVERY = 500  # utterances


@dataclass(frozen=True)
class Extractor:
    """A kind of features: how to compute them, and what audio they need."""

    compute: Callable[[np.ndarray, Seed], np.ndarray]  # samples (N,), seed -> (T, D)
    audio: MelOptions
    config: str  # the option file to name in messages about the audio
    pitch: PitchOptions | None = None  # of pitch that stands beside them


def fbank_extractor(config: str) -> Extractor:
    """Filter banks after an option file of compute-fbank-feats."""
    options = read_options(FbankOptions, config)
    return Extractor(lambda x, seed: fbank(x, options, seed), options, config)


def mfcc_extractor(config: str) -> Extractor:
    """MFCC after an option file of compute-mfcc-feats."""
    options = read_options(MfccOptions, config)
    return Extractor(lambda x, seed: mfcc(x, options, seed), options, config)


def fbank_pitch_extractor(
    config: str, pitch_configs: Sequence[str], tolerance: int
) -> Extractor:
    """Filter banks and pitch side by side.

    Raises:
        UserError: the option files disagree on sampling rate or channel.
    """
    fbanks = read_options(FbankOptions, config)
    pitches = read_options(PitchOptions, *pitch_configs)
    for name in ("sample_frequency", "channel"):
        ours, theirs = getattr(fbanks, name), getattr(pitches, name)
        if ours != theirs:
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{pitch_configs[0]}: {flag} is {theirs:g} here and {ours:g} in "
                f"{config} (options not written have Kaldi's default); write the same "
                "in both"
            )

    def compute(samples: np.ndarray, seed: Seed) -> np.ndarray:
        parts = [fbank(samples, fbanks, seed), pitch(samples, pitches)]
        return paste(parts, tolerance)

    return Extractor(compute, fbanks, config, pitches)


def extract_features(
    extractor: Extractor,
    data: str | Path,
    prefix: str,
    *,
    part: tuple[int, int] = (1, 1),
    compress: bool = True,
    utt2num_frames: str = "",
    utt2dur: str = "",
) -> int:
    """Write ``prefix.ark`` and ``prefix.scp`` for one of N parts of a data directory.

    All files appear when the last utterance is done, or none of them.

    Args:
        extractor: what to compute.
        data: a directory with wav.scp and perhaps segments.
        prefix: the output without its extension.
        part: (job, jobs), counted from 1.
        compress: store with Kaldi's lossy compression.
        utt2num_frames: also write ``<utt> <frames>`` lines here, if given.
        utt2dur: also write ``<utt> <seconds>`` lines here, if given.

    Returns:
        The number of utterances.

    Raises:
        DataError: every utterance that failed, with its reason.
    """
    reader = AudioReader(extractor.audio, extractor.config)
    rate = extractor.audio.sample_frequency
    problems: list[str] = []
    done = 0
    with ExitStack() as stack:
        writer = stack.enter_context(
            open_ark_writer(
                f"{prefix}.ark",
                f"{prefix}.scp",
                compress=compress,
                method=AUTOMATIC_COMPRESSION,
            )
        )
        counts, durations = (
            stack.enter_context(atomic_write(name)) if name else None
            for name in (utt2num_frames, utt2dur)
        )
        for utterance in iter_utterances(data, part):
            try:
                samples = reader.read(utterance)
            except UserError as error:
                problems.append(str(error))
                continue
            if len(samples) < extractor.audio.min_duration * rate:
                logging.info("%s: left out by --min-duration", utterance.key)
                continue
            try:
                seed = zlib.crc32(utterance.key.encode())
                feats = extractor.compute(samples, seed)
                writer.write(utterance.key, feats)
            except UserError as error:
                where = f"{utterance.place}: {utterance.key}: {utterance.source}"
                problems.append(f"{where}: {error}")
                continue
            if counts is not None:
                counts.write(f"{utterance.key} {len(feats)}\n")
            if durations is not None:
                durations.write(f"{utterance.key} {len(samples) / rate:.3f}\n")
            done += 1
            if done % REPORT_EVERY == 0:
                logging.info("%d utterances done", done)
        if problems:
            raise DataError(problems)
    logging.info("%d utterances done", done)
    return done
