"""Do confidences mean what they say? And a map that makes them.

Platt, "Probabilistic Outputs for Support Vector Machines", 1999: a logistic function of
the log odds, fitted on development data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet.utils.errors import DataError, UserError
from espnet.utils.lines import read_lines

LEAST = 1e-4  # confidences nearer to 0 or 1 do not count as more certain
RIDGE = 1e-3  # keeps the map near the identity where there is nothing to learn from
STEPS = 50
BINS = 10


@dataclass(frozen=True)
class ConfidenceMap:
    """``sigmoid(scale * log(p / (1 - p)) + shift)``; (1, 0) changes nothing."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, confidences: np.ndarray) -> np.ndarray:
        """Calibrated confidences of any shape."""
        if (self.scale, self.shift) == (1.0, 0.0):
            return confidences
        return _sigmoid(self.scale * _log_odds(confidences) + self.shift)


def _log_odds(confidences: np.ndarray) -> np.ndarray:
    p = np.clip(confidences, LEAST, 1.0 - LEAST)
    return np.log(p / (1.0 - p))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -50.0, 50.0)))


def fit_map(confidences: np.ndarray, right: np.ndarray) -> ConfidenceMap:
    """The map that makes words most likely (Newton's method, halving steps).

    Args:
        confidences: of words (N,).
        right: whether each was right (N,).
    """
    inputs = np.stack([_log_odds(confidences), np.ones(len(confidences))], 1)
    right = right.astype(float)
    start = np.array([1.0, 0.0])

    def loss(weights: np.ndarray) -> float:
        x = inputs @ weights
        prior = RIDGE * float(((weights - start) ** 2).sum()) / 2
        return float((np.logaddexp(0.0, x) - right * x).sum()) + prior

    weights = start
    for _ in range(STEPS):
        p = _sigmoid(inputs @ weights)
        slope = inputs.T @ (p - right) + RIDGE * (weights - start)
        curve = (inputs * (p * (1 - p))[:, None]).T @ inputs + RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while loss(weights - size * step) > loss(weights) and size > 1e-6:
            size /= 2
        weights = weights - size * step
    return ConfidenceMap(float(weights[0]), float(weights[1]))


def calibration_error(
    confidences: np.ndarray, right: np.ndarray, bins: int = BINS
) -> float:
    """The expected calibration error: mean distance of confidence and truth by bins."""
    return sum(
        count / len(right) * abs(said - true)
        for _, count, said, true in reliability(confidences, right, bins)
    )


def reliability(
    confidences: np.ndarray, right: np.ndarray, bins: int = BINS
) -> list[tuple[float, int, float, float]]:
    """Lower edge, words, mean confidence and share of right words of each bin."""
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    return [
        (
            place / bins,
            int((places == place).sum()),
            float(confidences[places == place].mean()),
            float(right[places == place].mean()),
        )
        for place in sorted(set(places.tolist()))
    ]


def read_ctm(paths: Iterable[str | Path]) -> dict[str, list[tuple[str, float]]]:
    """Words and confidences of each recording of CTM files.

    Raises:
        DataError: lines that are not CTM with a confidence.
    """
    found: dict[str, list[tuple[str, float]]] = {}
    problems = []
    for path in paths:
        for number, line in read_lines(path):
            words = line.split()
            try:
                confidence = float(words[5])
            except (IndexError, ValueError):
                confidence = math.nan
            if not 0.0 <= confidence <= 1.0:
                problems.append(
                    f"{path}:{number}: '{line}' must be '<utterance> 1 <start> "
                    "<duration> <word> <confidence>', the last from 0 to 1"
                )
                continue
            found.setdefault(words[0], []).append((words[4], confidence))
    if problems:
        raise DataError(problems)
    return found


def judged_words(
    said: Mapping[str, Sequence[tuple[str, float]]],
    references: Mapping[str, Sequence[str]],
) -> tuple[np.ndarray, np.ndarray]:
    """The confidence (N,) of each recognised word, and whether it was right (N,).

    Words are aligned with the reference by the fewest edits.

    Raises:
        UserError: no recording has both.
    """
    from rapidfuzz.distance import Levenshtein

    confidences: list[float] = []
    right: list[bool] = []
    for name, words in said.items():
        if name not in references:
            continue
        heard = [word for word, _ in words]
        good = [False] * len(heard)
        for same in Levenshtein.opcodes(heard, list(references[name])):
            if same.tag == "equal":
                for place in range(same.src_start, same.src_end):
                    good[place] = True
        confidences += [confidence for _, confidence in words]
        right += good
    if not right:
        raise UserError("no word of the CTM files belongs to an utterance of the text")
    return np.array(confidences), np.array(right)
