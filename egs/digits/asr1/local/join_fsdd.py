#!/usr/bin/env python3
"""Join the recordings of the Free Spoken Digit Dataset into connected digits.

Each string has one speaker. The data set's own split is kept: recordings 0 to 4 of a
digit and speaker are test, and each of them is used exactly once; 5 to 7 are for
validation, likewise; from the others many random strings are made for training.
"""

from __future__ import annotations

import argparse
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from digit_strings import LENGTHS, transcript, write_text, write_wav

from espnet.utils.errors import DataError, UserError, run_command

SAMPLE_RATE = 8000
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
INDICES = {"train": range(8, 50), "dev": range(5, 8), "test": range(5)}
TRAIN_STRINGS = 500  # for each speaker
Recording = tuple[int, np.ndarray]  # the digit and its samples


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder that holds recordings/")
    parser.add_argument("folder", type=Path, help="where to put the strings")
    parser.add_argument(
        "--train-strings",
        type=int,
        default=TRAIN_STRINGS,
        help="strings of each training speaker",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Make the strings of all three sets; a half-made folder never gets its name."""
    args = parser().parse_args(argv)
    recordings = read_corpus(args.corpus / "recordings")
    making = args.folder.with_name(f".{args.folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    for name, indices in INDICES.items():
        texts = {}
        for speaker in SPEAKERS:
            chosen = [
                (d, recordings[d, speaker, i]) for d in range(10) for i in indices
            ]
            random = np.random.default_rng(zlib.crc32(f"{name} {speaker}".encode()))
            count = args.train_strings if name == "train" else None
            for index, string in enumerate(strings(chosen, count, random)):
                utterance = f"{speaker}-{name}-{index:04d}"
                wave = join([wave for _, wave in string], random)
                if name == "train":  # how loud somebody speaks tells nothing
                    wave = wave * 10 ** (random.uniform(-10, 4) / 20)
                write_wav(making / name, utterance, wave, SAMPLE_RATE)
                texts[utterance] = transcript(digit for digit, _ in string)
        write_text(making / name, texts)
        print(f"{name}: {len(texts)} strings")
    shutil.rmtree(args.folder, ignore_errors=True)
    making.rename(args.folder)


def read_corpus(folder: Path) -> dict[tuple[int, str, int], np.ndarray]:
    """Every recording by digit, speaker and index.

    Raises:
        UserError: no such folder.
        DataError: recordings that are missing, or not 8 kHz mono.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; --datadir must hold the corpus")
    waves, problems = {}, []
    indices = sorted({i for part in INDICES.values() for i in part})
    for key in [(d, s, i) for d in range(10) for s in SPEAKERS for i in indices]:
        path = folder / "{}_{}_{}.wav".format(*key)
        try:
            waves[key], rate = soundfile.read(path, dtype="float32")
        except (OSError, RuntimeError) as error:
            problems.append(
                f"{path}: cannot be read ({error}); unpack the corpus again"
            )
            continue
        if rate != SAMPLE_RATE or waves[key].ndim != 1:
            problems.append(f"{path}: must be one channel at {SAMPLE_RATE} Hz")
    if problems:
        raise DataError(problems)
    return waves


def strings(
    recordings: list[Recording], count: int | None, random: np.random.Generator
) -> Iterator[list[Recording]]:
    """Strings of 3 to 7 recordings: ``count`` at random, or all exactly once (None)."""
    shortest, longest = LENGTHS[0], LENGTHS[-1]
    if count is not None:
        for _ in range(count):
            picks = random.integers(len(recordings), size=random.choice(LENGTHS))
            yield [recordings[i] for i in picks]
        return
    left = [recordings[i] for i in random.permutation(len(recordings))]
    while left:
        size = int(random.choice(LENGTHS))
        if len(left) <= longest:
            size = len(left)
        elif len(left) - size < shortest:  # would leave too few for a last string
            size = len(left) - shortest
        yield left[:size]
        left = left[size:]


def join(waves: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """One after the other, with breaks of 0.05 to 0.25 s between and around them.

    A break is noise as loud as the quiet tenth of the recordings: digital silence would
    give away where a recording ends.
    """
    frames = np.concatenate([w[: len(w) // 80 * 80].reshape(-1, 80) for w in waves])
    floor = np.quantile(np.sqrt(np.mean(frames**2, axis=1)), 0.1) + 1e-4

    def pause() -> np.ndarray:
        size = int(random.uniform(0.05, 0.25) * SAMPLE_RATE)
        return random.standard_normal(size).astype(np.float32) * floor

    pieces = [pause()]
    for wave in waves:
        pieces += [wave, pause()]
    return np.concatenate(pieces)


if __name__ == "__main__":
    run_command(main)
