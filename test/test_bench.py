"""The benchmarks run: they call the library at its present interfaces."""

from __future__ import annotations

import pytest

from tools.bench.cases import CASES

# the others share their code with these, and take seconds each
SHORT = (
    *("search_rnn", "real_time_rnn", "real_time_transformer", "real_time_conformer"),
    *("token_curve", "ctc_steps", "transducer_loss", "transducer_joint"),
    *("transducer_greedy_rnn", "transducer_greedy_conformer", "features", "help"),
)


@pytest.mark.parametrize("name", SHORT)
def test_first_work(name: str) -> None:
    works = CASES[name]()
    next(iter(works.values()))()
