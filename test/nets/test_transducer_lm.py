"""Language models in Transducer searches: many utterances at once and one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lm_models import MODELS
from lm_models import build as build_lm
from test_lm_words import CHARS, WORDS, char_model, word_model
from test_transducer_search import LAST, TableScorer, memory, run

from espnet.nets.beam_search_transducer import TransducerSearch
from espnet.nets.scorer_interface import BatchScorer
from espnet.nets.scorers.lm import LMScorer
from espnet.nets.scorers.word_lm import LookAheadWordLM, MultiLevelLM
from espnet.nets.search_options import SearchOptions
from espnet.nets.transducer_search.searches import SEARCHES


class WiderTable(TableScorer):
    """As many symbols as the language models have."""

    vocabulary = len(CHARS)

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(3)
        self.of_label = torch.randn(LAST, len(CHARS), generator=draw) * 2


LANGUAGE_MODELS: dict[str, Callable[[], BatchScorer]] = {
    **{name: lambda name=name: build_lm(name).scorer() for name in MODELS},
    "word": lambda: LookAheadWordLM(word_model().predictor, WORDS, CHARS),
    "word-and-characters": lambda: MultiLevelLM(
        word_model().predictor, WORDS, CHARS, subwords=LMScorer(char_model().predictor)
    ),
}


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
@pytest.mark.parametrize("kind", SEARCHES)
def test_every_language_model_together_and_alone(name: str, kind: str) -> None:
    draw = torch.Generator().manual_seed(1)
    xs, lengths = torch.randn(4, 7, len(CHARS), generator=draw) * 2, [7, 3, 1, 6]
    xs[..., 0] += 2.0
    options = SearchOptions(
        beam_size=3, nbest=3, search_type=kind, nstep=2, lm_weight=0.6
    )
    search = TransducerSearch(WiderTable(), options, LANGUAGE_MODELS[name]())
    plain = TransducerSearch(WiderTable(), options)
    together = search(xs, torch.tensor(lengths))
    for x, length, outcome in zip(xs, lengths, together, strict=True):
        one = (x[None, :length], torch.tensor([length]))
        (alone,) = search(*one)
        assert [h.yseq for h in outcome.nbest] == [h.yseq for h in alone.nbest]
        scores = [h.score for h in alone.nbest]
        assert [h.score for h in outcome.nbest] == pytest.approx(scores, rel=1e-5)
        if len(alone.nbest[0].yseq) > 1:
            assert scores != [h.score for h in plain(*one)[0].nbest]


def test_a_language_model_reads_many_prefixes_in_one_call() -> None:
    """Calls are far fewer than prefixes."""

    class Counting(LMScorer):
        calls = rows = 0

        def score(self, tokens, state):  # type: ignore[no-untyped-def]
            Counting.calls += 1
            Counting.rows += len(tokens)
            scores, state = super().score(tokens, state)
            return scores[:, :6], state

    xs = memory(6, rows=8)
    options = {"beam_size": 3, "search_type": "maes", "lm_weight": 0.3}
    run(xs, [6] * 8, Counting(char_model().predictor), **options)
    assert Counting.calls * 3 < Counting.rows
