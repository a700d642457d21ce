"""New utterances out of the words of others.

All recordings of the training set begin with NO, and all of the test set with YES, for
both are in the order of their names. A model that predicts labels before it has heard
them, as a Transducer does, learns that the first word is NO.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from espnet.data.corpus import Recording
from espnet.utils.errors import UserError

FRAME = 80  # samples of 10 ms
SMOOTHED = 7  # frames
SHORTEST = 6  # frames of a word
PAUSE = 8  # frames between words
LEVELS = np.arange(
    -3.0, -40.0, -1.0
)  # dB below the loudest, from which a word is heard
FEWEST, MOST = 5, 8  # words of an utterance


def mixed(recordings: Sequence[Recording], folder: Path, count: int) -> list[Recording]:
    """Write ``count`` wav files of 5 to 8 words each, which YES and NO share evenly.

    Args:
        recordings: with words between pauses; those in which as many words as in their
            text cannot be heard are left out.
        folder: for the wav files.
        count: how many.

    Raises:
        UserError: words can be told apart in no recording.
    """
    draw = random.Random(1)
    heard: dict[str, list[np.ndarray]] = {}
    for recording in recordings:
        samples, rate = soundfile.read(recording.wav, dtype="int16")
        words = recording.text.split()
        for word, part in zip(words, cut(samples, len(words)), strict=False):
            heard.setdefault(word, []).append(part)
    if not heard:
        raise UserError(
            f"{recordings[0].wav.parent}: no recording has pauses between its words, "
            "so that none can be mixed; use --mixed 0"
        )
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        words = draw.choices(sorted(heard), k=draw.randint(FEWEST, MOST))
        wav = folder / f"mixed-{number:03d}.wav"
        soundfile.write(
            wav, np.concatenate([draw.choice(heard[w]) for w in words]), rate
        )
        speaker = recordings[0].speaker
        made.append(Recording(f"{speaker}-{wav.stem}", speaker, wav, " ".join(words)))
    return made


def cut(samples: np.ndarray, count: int) -> list[np.ndarray]:
    """The recording in as many parts as it has words, cut in the pauses; or none."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(float)
    energy = 10.0 * np.log10((frames**2).mean(1) + 1.0)
    energy = np.convolve(energy, np.ones(SMOOTHED) / SMOOTHED, "same")
    for level in LEVELS:
        words = list(_runs(energy > energy.max() + level))
        if len(words) == count:
            pauses = pairwise(words)
            middles = [(before[1] + after[0]) // 2 for before, after in pauses]
            return np.split(samples, [FRAME * middle for middle in middles])
    return []


def _runs(loud: np.ndarray) -> Iterator[tuple[int, int]]:
    """Begin and end of what is loud; short pauses belong to it."""
    edges = np.flatnonzero(np.diff(np.pad(loud.astype(int), 1)))
    begin = end = -1
    for first, last in edges.reshape(-1, 2).tolist():
        if begin >= 0 and first - end < PAUSE:
            end = last
        elif last - first >= SHORTEST:
            if begin >= 0:
                yield begin, end
            begin, end = first, last
    if begin >= 0:
        yield begin, end
