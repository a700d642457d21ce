"""Confidences are what they say after the map, and the map is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from espnet.scoring.calibration import (
    ConfidenceMap,
    calibration_error,
    fit_map,
    judged_words,
    read_ctm,
    reliability,
)
from espnet.utils.errors import DataError, UserError


def test_the_map_of_simulated_words_is_found() -> None:
    random = np.random.default_rng(0)
    raw = random.uniform(0.02, 0.98, 20000)
    truth = 1 / (1 + np.exp(-(0.5 * np.log(raw / (1 - raw)) - 1.0)))
    right = random.uniform(size=len(raw)) < truth
    found = fit_map(raw, right)
    assert (found.scale, found.shift) == pytest.approx((0.5, -1.0), abs=0.05)
    assert calibration_error(raw, right) > 0.15
    assert calibration_error(found(raw), right) < 0.02


def test_all_right_is_no_reason_for_certainty_without_end() -> None:
    found = fit_map(np.full(50, 0.9), np.ones(50, bool))
    assert 0.9 < found(np.array([0.9]))[0] < 1.0
    assert np.isfinite(found(np.array([0.0, 1.0]))).all()


def test_no_map_changes_nothing() -> None:
    values = np.array([0.0, 0.3, 1.0])
    assert np.array_equal(ConfidenceMap()(values), values)


def test_reliability_by_hand() -> None:
    confidences = np.array([0.95, 0.91, 0.15, 1.0])
    right = np.array([True, False, False, True])
    low, high = reliability(confidences, right)
    assert low == (0.1, 1, pytest.approx(0.15), 0.0)
    assert high == (0.9, 3, pytest.approx(0.95333, abs=1e-4), pytest.approx(2 / 3))
    expected = (0.15 + 3 * (0.953333 - 2 / 3)) / 4
    assert calibration_error(confidences, right) == pytest.approx(expected, abs=1e-4)


def test_words_are_judged_by_the_fewest_edits() -> None:
    said = {"u": [("a", 0.9), ("x", 0.2), ("c", 0.8)], "other": [("a", 0.5)]}
    confidences, right = judged_words(said, {"u": ["a", "b", "c"]})
    assert confidences.tolist() == [0.9, 0.2, 0.8]
    assert right.tolist() == [True, False, True]
    with pytest.raises(UserError, match="no word of the CTM files belongs"):
        judged_words(said, {"z": ["a"]})


def test_lines_that_are_no_ctm_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "x.ctm"
    path.write_text("u 1 0.00 0.10 a 0.5\nu 1 0 0 a\nu 1 0 0 a 1.5\n")
    with pytest.raises(DataError) as caught:
        read_ctm([path])
    assert [str(caught.value).count(f"x.ctm:{n}:") for n in (1, 2, 3)] == [0, 1, 1]
