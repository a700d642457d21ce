"""Transducer searches over a scorer whose numbers come from a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from asr_models import batch, build
from lm_models import build as build_lm
from torch import Tensor

from espnet.nets.beam_search_transducer import TransducerSearch
from espnet.nets.decode import make_search
from espnet.nets.scorer_interface import (
    BatchScorer,
    PartialScorer,
    ScorerInterface,
    TransducerScorer,
)
from espnet.nets.search_options import TRANSDUCER_SEARCHES, SearchOptions
from espnet.nets.transducer_search import searches
from espnet.nets.transducer_search.searches import SEARCHES, add_logs
from espnet.utils.errors import UserError

V, LAST = 6, 3


class TableScorer(TransducerScorer):
    """Logits that depend on the frame and on the sum of labels modulo 3."""

    vocabulary = V

    def __init__(self, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.of_label = torch.randn(LAST, V, generator=draw) * 2

    def frames(self, memory: Tensor) -> Tensor:
        return memory

    def initial(self) -> int:
        return 0

    def read(
        self,
        prefixes: Sequence[tuple[int, ...]],
        states: Sequence[int],
        widths: Sequence[int] | None = None,
    ) -> tuple[Tensor, list[int]]:
        new = [s + p[-1] for s, p in zip(states, prefixes, strict=True)]
        assert new == [sum(prefix) for prefix in prefixes]
        return self.of_label[torch.tensor(new) % LAST], new

    def logits(self, frames: Tensor, prefixes: Tensor) -> Tensor:
        return frames + prefixes

    def log_probs(self, frame: Tensor, prefix: Sequence[int]) -> Tensor:
        """Of all symbols (V,), for one frame (V,)."""
        return (frame + self.of_label[sum(prefix) % LAST]).log_softmax(-1).double()


class Unigram(BatchScorer):
    """A language model that remembers what it has read, to see that it is right."""

    log_probs = torch.log_softmax(torch.tensor([0.0, 2.0, -1.0, 1.0, 0.5, -2.0]), 0)

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> list[list[int]]:
        return [[] for _ in range(len(memory) * beam)]

    def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = [
            [*read, token] for read, token in zip(state, tokens.tolist(), strict=True)
        ]
        assert all(read[0] == 0 for read in state)
        shift = torch.tensor([len(read) - 1.0 for read in state])
        return self.log_probs.expand(len(state), -1) - shift[:, None], state

    def select(self, state: Any, rows: Tensor, tokens: Tensor) -> Any:
        return [state[row] for row in rows.tolist()]


def memory(frames: int, rows: int = 1, seed: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    xs = torch.randn(rows, frames, V, generator=draw) * 2
    xs[..., 0] += 2.0
    return xs


def run(
    xs: Tensor, lengths: Sequence[int], lm: Any = None, **options: Any
) -> list[list[tuple[list[int], float]]]:
    search = TransducerSearch(TableScorer(), SearchOptions(**options), lm)
    outcomes = search(xs, torch.tensor(lengths))
    return [[(hyp.yseq, hyp.score) for hyp in outcome.nbest] for outcome in outcomes]


every_search = pytest.mark.parametrize("kind", SEARCHES)


def test_the_table_has_what_the_option_allows() -> None:
    assert tuple(SEARCHES) == TRANSDUCER_SEARCHES


def test_greedy_takes_the_best_symbol_of_each_frame() -> None:
    xs, lengths = memory(23, rows=5), [23, 1, 9, 17, 4]
    scorer = TableScorer()
    for x, length, (found,) in zip(
        xs, lengths, run(xs, lengths, beam_size=1, search_type="maes"), strict=True
    ):
        prefix, score = [0], 0.0
        for frame in x[:length]:
            log_probs = scorer.log_probs(frame, prefix)
            best = int(log_probs.argmax())
            if best:
                score += float(log_probs[best])
                prefix.append(best)
        assert found[0] == prefix
        assert found[1] == pytest.approx(score, rel=1e-5)


@every_search
@pytest.mark.parametrize("lm_weight", [0.0, 0.7])
def test_scores_of_one_frame_are_those_of_the_only_path(
    kind: str, lm_weight: float
) -> None:
    xs = memory(1)
    scorer, lm = TableScorer(), Unigram()
    options = {
        "search_type": kind,
        "nstep": 3,
        "max_sym_exp": 4,
        "lm_weight": lm_weight,
    }
    (found,) = run(xs, [1], lm, beam_size=3, nbest=3, score_norm=False, **options)
    assert found
    assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
    for yseq, score in found:
        expected = float(scorer.log_probs(xs[0, 0], yseq)[0])
        for place in range(1, len(yseq)):
            label, before = yseq[place], yseq[:place]
            expected += float(scorer.log_probs(xs[0, 0], before)[label])
            expected += lm_weight * (float(lm.log_probs[label]) - (place - 1))
        assert score == pytest.approx(expected, rel=1e-5)
    assert kind == "alsd" or len(found[-1][0]) > 1


@every_search
@pytest.mark.parametrize("lm", [None, Unigram()])
def test_together_is_as_one_after_the_other(kind: str, lm: Any) -> None:
    xs, lengths = memory(12, rows=4), [12, 7, 1, 10]
    options = {"beam_size": 3, "nbest": 3, "search_type": kind, "nstep": 2}
    together = run(xs, lengths, lm, lm_weight=0.3, **options)
    for b, length in enumerate(lengths):
        (alone,) = run(xs[b : b + 1, :length], [length], lm, lm_weight=0.3, **options)
        assert [yseq for yseq, _ in together[b]] == [yseq for yseq, _ in alone]
        assert [s for _, s in together[b]] == pytest.approx([s for _, s in alone])


@pytest.mark.parametrize(
    "name", ["transducer-blstmp-lstm", "transducer-tdnn-transformer-custom"]
)
@every_search
def test_models_together_are_as_one_after_the_other(name: str, kind: str) -> None:
    model = build(name).eval()
    xs, ilens, _ = batch()
    options = SearchOptions(beam_size=2, nbest=2, search_type=kind, nstep=2)
    features = [x[:length] for x, length in zip(xs, ilens, strict=True)]
    for x, together in zip(
        features, model.recognize_batch(features, options), strict=True
    ):
        alone = model.recognize(x, options)
        assert [h["yseq"] for h in together] == [h["yseq"] for h in alone]
        scores = [h["score"] for h in alone]
        assert [h["score"] for h in together] == pytest.approx(scores, rel=1e-4)


@pytest.mark.parametrize("nstep", [1, 2, 3])
def test_hypotheses_without_prospects_can_be_left_out(
    nstep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    xs, lengths = memory(9, rows=6), [9] * 6
    options = {"beam_size": 3, "nbest": 3, "search_type": "nsc", "nstep": nstep}
    pruned = run(xs, lengths, **options)
    monkeypatch.setattr(searches, "promising", lambda hyps, waiting, beam: hyps)
    assert run(xs, lengths, **options) == pruned


@every_search
def test_normalised_scores_change_the_order_only(kind: str) -> None:
    xs = memory(8)
    options = {"search_type": kind, "beam_size": 4, "nbest": 4, "nstep": 2}
    (normalised,) = run(xs, [8], score_norm=True, **options)
    (plain,) = run(xs, [8], score_norm=False, **options)
    rates = [score / len(yseq) for yseq, score in normalised]
    assert rates == sorted(rates, reverse=True)
    assert [s for _, s in plain] == sorted((s for _, s in plain), reverse=True)
    if kind != "default":  # which keeps more than the n best
        assert sorted(plain) == sorted(normalised)


def test_a_wide_tsd_finds_the_forward_probability() -> None:
    """With room for every sequence, the paths of each are summed up."""
    xs, scorer = memory(3), TableScorer()
    options = {"search_type": "tsd", "max_sym_exp": 2, "score_norm": False}
    (found,) = run(xs, [3], beam_size=5, nbest=1, **options)
    yseq, score = found[0]
    paths: dict[tuple[int, ...], float] = {(0,): 0.0}
    for frame in xs[0]:  # at most one label, then blank
        ended: dict[tuple[int, ...], float] = {}
        for prefix, before in paths.items():
            log_probs = scorer.log_probs(frame, prefix).tolist()
            longer = [(prefix, before)]
            longer += [((*prefix, k), before + log_probs[k]) for k in range(1, V)]
            for sequence, value in longer:
                value += float(scorer.log_probs(frame, sequence)[0])
                there = ended.get(sequence)
                ended[sequence] = value if there is None else add_logs(there, value)
        paths = ended
    assert score == pytest.approx(paths[tuple(yseq)], abs=0.05)
    assert score <= paths[tuple(yseq)] + 1e-5


def test_default_ends_where_labels_are_always_likelier_than_blank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searches, "MOST_EXPANSIONS", (20, 5))
    xs = memory(6, rows=2)
    xs[0, :, 0] = -30.0
    found, sensible = run(xs, [6, 6], beam_size=3, nbest=3)
    most, share = searches.MOST_LABELS
    assert len(found) == 3
    assert all(len(yseq) - 1 <= most + share * 6 for yseq, _ in found)
    assert [sensible] == run(xs[1:], [6], beam_size=3, nbest=3)  # beside it, as ever
    monkeypatch.setattr(searches, "MOST_LABELS", (1, 0))
    (found, _) = run(xs, [6, 6], beam_size=3, nbest=3)
    assert max(len(yseq) - 1 for yseq, _ in found) == 1


@pytest.mark.parametrize("beam", [1, 4, 10])
def test_the_limits_of_default_are_far_from_what_it_needs(
    beam: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    xs = memory(20, rows=4)
    expected = run(xs, [20] * 4, beam_size=beam)
    monkeypatch.setattr(searches, "MOST_EXPANSIONS", (10**9, 10**9))
    monkeypatch.setattr(searches, "MOST_LABELS", (10**9, 10**9))
    assert run(xs, [20] * 4, beam_size=beam) == expected


def test_alsd_gives_no_more_labels_than_allowed() -> None:
    xs, options = memory(9), {"search_type": "alsd", "beam_size": 4, "nbest": 4}
    xs[..., 0] += 4.0  # so that something ends
    longest = {}
    for u_max in (1, 2, 400):
        (found,) = run(xs, [9], u_max=u_max, **options)
        longest[u_max] = max(len(yseq) - 1 for yseq, _ in found)
    assert longest[1] <= 1
    assert longest[2] <= 2
    assert 2 < longest[400] < 9


def test_temperature_flattens_scores_unless_there_is_a_language_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    xs, options = memory(4), {"beam_size": 2, "softmax_temperature": 50.0}
    flat = run(xs, [4], **options)[0][0]
    # of V symbols, each takes nearly the same share
    assert flat[1] == pytest.approx(-(3 + len(flat[0])) * np.log(V), rel=0.1)
    assert (
        run(xs, [4], beam_size=1)[0][0]
        != run(xs, [4], beam_size=1, **{"softmax_temperature": 2.0})[0][0]
    )
    with caplog.at_level(logging.WARNING):
        found = run(xs, [4], Unigram(), lm_weight=0.1, **options)
    assert "softmax-temperature 50 becomes 1" in caplog.text
    assert found == run(xs, [4], Unigram(), lm_weight=0.1, beam_size=2)


def test_a_plug_in_language_model() -> None:
    class PlugIn(ScorerInterface):
        def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
            return Unigram.log_probs - (len(y) - 1.0), None

    xs, options = memory(5), {"beam_size": 3, "search_type": "maes", "lm_weight": 0.5}
    assert run(xs, [5], PlugIn(), **options) == run(xs, [5], Unigram(), **options)


def test_a_language_model_may_begin_with_a_token_of_its_own() -> None:
    class FromEnd(Unigram):
        first_token = V - 1

        def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
            if not state[0]:
                assert tokens.tolist() == [V - 1]
                tokens = torch.zeros_like(tokens)
            return super().score(tokens, state)

    xs, options = memory(5), {"beam_size": 3, "search_type": "tsd", "lm_weight": 0.5}
    assert run(xs, [5], FromEnd(), **options) == run(xs, [5], Unigram(), **options)


@pytest.mark.parametrize("name", ["default-lstm", "transformer"])
@every_search
def test_our_language_models_keep_their_states_apart(name: str, kind: str) -> None:
    """Steps from stored states give what reading each prefix anew gives."""

    class Anew(ScorerInterface):
        def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
            scorer = model.scorer()
            state = scorer.start(y.new_zeros(1, 1, 0), y.new_ones(1), 1)
            for token in y:
                scores, state = scorer.score(token[None], state)
            return scores[0, :V], None

    class First(BatchScorer):
        def __init__(self) -> None:
            self.scorer = model.scorer()

        def start(self, memory: Tensor, lengths: Tensor, beam: int) -> Any:
            return self.scorer.start(memory, lengths, beam)

        def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
            scores, state = self.scorer.score(tokens, state)
            return scores[:, :V], state

        def select(self, state: Any, rows: Tensor, tokens: Tensor) -> Any:
            return self.scorer.select(state, rows, tokens)

    model = build_lm(name)
    xs, lengths = memory(6, rows=2), [6, 4]
    options = {"beam_size": 3, "search_type": kind, "lm_weight": 0.5, "nstep": 2}
    found, expected = (run(xs, lengths, lm, **options) for lm in (First(), Anew()))
    for one, other in zip(found, expected, strict=True):
        assert [yseq for yseq, _ in one] == [yseq for yseq, _ in other]
        assert [s for _, s in one] == pytest.approx([s for _, s in other], rel=1e-5)


def test_a_language_model_has_its_weight_in_the_log() -> None:
    options = SearchOptions(beam_size=2, lm_weight=0.4)
    scorers = {"transducer": TableScorer(), "lm": Unigram()}
    assert make_search(scorers, V, options).weights == {"transducer": 1.0, "lm": 0.4}
    (outcome,) = make_search(scorers, V, options)(memory(3), torch.tensor([3]))
    assert not outcome.cut


def test_greedy_search_says_that_it_has_no_language_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert run(memory(4), [4], Unigram()) == run(memory(4), [4])
    assert "the language model is not used" in caplog.text


def test_what_cannot_be_searched_is_refused() -> None:
    class Partial(PartialScorer):
        def start(self, memory: Tensor, lengths: Tensor, beam: int) -> None: ...
        def score_partial(self, *rest: Any) -> Any: ...
        def select(self, *rest: Any) -> None: ...

    options = SearchOptions(beam_size=5, expansion_beta=2, search_type="maes")
    with pytest.raises(UserError, match="make 7 candidates, but there are 6 symbols"):
        TransducerSearch(TableScorer(), options)
    falling = SearchOptions(beam_size=2, lm_weight=-0.5)
    with pytest.raises(UserError, match="--lm-weight: -0.5 must not be negative"):
        TransducerSearch(TableScorer(), falling, Unigram())
    with pytest.raises(UserError, match="Partial scores candidates only"):
        TransducerSearch(TableScorer(), SearchOptions(beam_size=2), Partial())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"search_type": "beam"}, "--search-type: 'beam' is none of default, tsd"),
        ({"nstep": 0}, "--nstep: 0 must be 1 or more"),
        ({"max_sym_exp": 0}, "--max-sym-exp: 0 must be 1 or more"),
        ({"prefix_alpha": -1}, "--prefix-alpha: -1 must be 0 or more"),
        ({"u_max": -1}, "--u-max: -1 must be 0 or more"),
        ({"expansion_gamma": -0.1}, "--expansion-gamma: -0.1 must be above 0"),
        ({"expansion_gamma": 0.0}, "--expansion-gamma: 0 must be above 0"),
        ({"expansion_beta": -1}, "--expansion-beta: -1 must be a whole number, 0 or"),
        ({"expansion_beta": 2.5}, "--expansion-beta: 2.5 must be a whole number"),
        (
            {"expansion_gamma": -1, "expansion_beta": 2.5},
            "--expansion-gamma: -1 must be a whole number, 0 or more",
        ),
        (
            {"expansion_gamma": 1, "expansion_beta": -2.5},
            "--expansion-beta: -2.5 must be above 0",
        ),
        ({"softmax_temperature": 0.0}, "--softmax-temperature: 0.0 must be above 0"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        SearchOptions(**options).check()


def test_expansion_as_the_tutorial_names_it() -> None:
    """There, gamma is the number of candidates and beta the difference."""
    xs, options = memory(9), {"search_type": "maes", "beam_size": 3, "nbest": 3}
    tutorial = run(xs, [9], expansion_gamma=1, expansion_beta=0.7, **options)
    assert tutorial == run(xs, [9], expansion_gamma=0.7, expansion_beta=1, **options)
    assert tutorial != run(xs, [9], **options)


def test_options_without_a_use_are_named(caplog: pytest.LogCaptureFixture) -> None:
    options = SearchOptions(ctc_weight=0.3, penalty=1.0, maxlenratio=0.5)
    make_search({"transducer": TableScorer(), "ngram": Unigram()}, V, options)
    for name in ("ctc-weight 0.3", "penalty 1", "maxlenratio 0.5", "ngram-model"):
        assert f"--{name} is not used" in caplog.text
    caplog.clear()
    make_search({"transducer": TableScorer()}, V, SearchOptions())
    assert not caplog.text


@pytest.mark.gpu
@every_search
@pytest.mark.parametrize("beam", [1, 2])
def test_gpu_and_cpu_agree(kind: str, beam: int) -> None:
    model = build("transducer-blstmp-lstm").eval()
    xs, ilens, _ = batch()
    options = SearchOptions(beam_size=beam, search_type=kind)
    features = [x[:length] for x, length in zip(xs, ilens, strict=True)]
    expected = model.recognize_batch(features, options)
    for one, other in zip(
        model.cuda().recognize_batch(features, options), expected, strict=True
    ):
        assert one[0]["yseq"] == other[0]["yseq"]
        assert one[0]["score"] == pytest.approx(other[0]["score"], rel=1e-4)
