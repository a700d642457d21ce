#!/usr/bin/env python3
"""Speak connected digits with eSpeak NG voices: the demo corpus, made offline."""

from __future__ import annotations

import argparse
import os
import shutil
import time
import zlib
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import soxr
from digit_strings import LENGTHS, WORDS, transcript, write_text, write_wav
from espeak import Synthesizer

from espnet.utils.errors import run_command

SAMPLE_RATE = 16000
ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-us-nyc")
# Voices that speak in one set never speak in another. Variants of one person (Mike and
# mike2) stay together; whispers and robots are left out.
VOICES = {
    "train": """Alex Alicia Andy Denis Gene Gene2 Henrique Jacky Lee Mario Mike mike2
        Nguyen adam announcer aunty belinda benjamin boris caleb croak ed f1 f3 f4
        gustave iven iven2 iven3 iven4 john klatt klatt2 klatt3 klatt4 m1 m2 m4 m5 m7
        max michel miguel norbert pablo quincy rob robert sandro shelby steph steph2
        steph3 travis victor zac""",
    "dev": "Andrea Hugo f5 m6 marcelo",
    "test": "Annie Diogo Michael Reed david edward f2 grandma linda m3 m8 paul",
}
UTTERANCES = {"train": 1680, "dev": 100, "test": 240}  # shared out among the voices


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to put the corpus")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument(
        "--fraction", type=float, default=1.0, help="make only this part of each set"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Make the corpus, unless it is there; a half-made one never gets its name."""
    args = parser().parse_args(argv)
    if args.folder.is_dir():
        print(f"{args.folder} is there already; remove it to have it made again")
        return
    start = time.monotonic()
    making = args.folder.with_name(f".{args.folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    tasks = []
    for name, voices in VOICES.items():
        count = round(args.fraction * UTTERANCES[name] / len(voices.split()))
        tasks += [(making / name, voice, count) for voice in voices.split()]
    texts: dict[Path, dict[str, str]] = {folder: {} for folder, _, _ in tasks}
    # One process a voice: the synthesiser's state starts afresh, so that the corpus
    # does not depend on the number of processes.
    with Pool(args.jobs, maxtasksperchild=1) as pool:
        for folder, spoken in pool.imap_unordered(speak, tasks, chunksize=1):
            texts[folder].update(spoken)
    for folder, spoken in texts.items():
        write_text(folder, spoken)
    making.rename(args.folder)
    sizes = ", ".join(f"{name} {len(texts[making / name])}" for name in VOICES)
    print(f"{args.folder}: {sizes} utterances in {time.monotonic() - start:.0f} s")


def speak(task: tuple[Path, str, int]) -> tuple[Path, dict[str, str]]:
    """Let one voice say its strings: ``(folder, voice, count)`` -> utterance texts."""
    folder, voice, count = task
    synthesizer = Synthesizer()
    texts = {}
    for index in range(count):
        # of its own for each string; a checksum, as hash() is salted
        random = np.random.default_rng([zlib.crc32(voice.encode()), index])
        digits = random.integers(10, size=random.choice(LENGTHS))
        wave = synthesizer.say(
            spoken_form(digits, random),
            voice=f"{random.choice(ACCENTS)}+{voice}",
            rate=int(random.integers(130, 220)),
            pitch=int(random.integers(30, 70)),
            pitch_range=int(random.integers(20, 80)),
        )
        wave = soxr.resample(wave, synthesizer.sample_rate, SAMPLE_RATE)
        utterance = f"{voice}-{index:04d}"
        write_wav(folder, utterance, record(wave, random), SAMPLE_RATE)
        texts[utterance] = transcript(digits)
    return folder, texts


def spoken_form(digits: Sequence[int], random: np.random.Generator) -> str:
    """The words, some with a comma: a short break in the melody."""
    words = [WORDS[d].lower() + ("," if random.random() < 0.2 else "") for d in digits]
    return " ".join(words).rstrip(",")


def record(wave: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A recording as a room and a microphone make it: silence around, noise, level.

    Args:
        wave: clean speech, shape (T,).

    Returns:
        Noisy speech (T + margins,) at -34 to -18 dB of full scale.
    """
    margins = (random.uniform(0.1, 0.4, size=2) * SAMPLE_RATE).astype(int)
    speech = np.pad(wave, margins)
    slope = random.uniform(0.0, 1.5)  # white (0) to brownish noise
    spectrum = np.fft.rfft(random.standard_normal(len(speech)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** (slope / 2)
    noise = np.fft.irfft(spectrum, len(speech))
    snr, level = random.uniform(10, 30), random.uniform(-34, -18)
    mixed = speech / rms(wave) + noise / rms(noise) * 10 ** (-snr / 20)
    return mixed * (10 ** (level / 20) / rms(mixed))


def rms(wave: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(wave))))


if __name__ == "__main__":
    run_command(main)
