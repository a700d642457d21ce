"""Digit strings on disk: ``<set>/text`` and ``<set>/wav/<utterance>.wav``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

WORDS = (
    *("ZERO", "ONE", "TWO", "THREE", "FOUR"),
    *("FIVE", "SIX", "SEVEN", "EIGHT", "NINE"),
)
LENGTHS = range(3, 8)  # digits in a string


def transcript(digits: Iterable[int]) -> str:
    """``[3, 0, 7]`` -> ``THREE ZERO SEVEN``."""
    return " ".join(WORDS[digit] for digit in digits)


def write_wav(folder: Path, utterance: str, wave: np.ndarray, rate: int) -> None:
    """Write ``folder/wav/<utterance>.wav`` in 16 bits; what is too loud is cut."""
    path = folder / "wav" / f"{utterance}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(wave, -1, 1), rate, subtype="PCM_16")


def write_text(folder: Path, texts: dict[str, str]) -> None:
    """Write ``folder/text``, one ``utterance WORDS`` a line, sorted."""
    lines = [f"{utterance} {texts[utterance]}\n" for utterance in sorted(texts)]
    (folder / "text").write_text("".join(lines), encoding="utf-8")
