"""Values that no search can have are refused by name; what is not used is said."""

from __future__ import annotations

from typing import Any

import pytest

from espnet.nets.decode import make_search
from espnet.nets.scorers.length_bonus import LengthBonus
from espnet.nets.search_options import SearchOptions
from espnet.utils.errors import UserError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "--beam-size: 0 must be 1 or more"),
        ({"beam_size": -2}, "--beam-size: -2 must be 1 or more"),
        ({"nbest": 0}, "--nbest: 0 must be 1 or more"),
        ({"nbest": -1}, "--nbest: -1 must be 1 or more"),
        ({"ctc_weight": -0.1}, r"--ctc-weight: -0.1 must lie in \[0, 1\]"),
        ({"ctc_weight": 1.1}, r"--ctc-weight: 1.1 must lie in \[0, 1\]"),
        ({"ctc_weight": float("nan")}, r"--ctc-weight: nan must lie in \[0, 1\]"),
        ({"penalty": float("nan")}, "--penalty: nan is no finite number"),
        ({"maxlenratio": float("inf")}, "--maxlenratio: inf is no finite number"),
        ({"minlenratio": float("nan")}, "--minlenratio: nan is no finite number"),
        ({"lm_weight": float("inf")}, "--lm-weight: inf is no finite number"),
        ({"ngram_weight": float("nan")}, "--ngram-weight: nan is no finite number"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SearchOptions(**options).check()


def test_bounds_are_allowed() -> None:
    for weight in (0.0, 1e-3, 1.0):
        SearchOptions(ctc_weight=weight, beam_size=1, nbest=5, maxlenratio=-1).check()


def test_a_window_of_ctc_is_not_needed(caplog: pytest.LogCaptureFixture) -> None:
    """ESPnet1 scored only some frames, to save time."""
    options = SearchOptions(ctc_window_margin=50)
    make_search({"decoder": LengthBonus(5)}, 5, options)
    (record,) = caplog.records
    assert "--ctc-window-margin 50 has no effect" in record.getMessage()
