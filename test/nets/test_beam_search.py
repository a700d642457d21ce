"""The search against a plain one over lists, against enumeration, and the goldens."""

from __future__ import annotations

import json
import logging
import math
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet.nets.beam_search import BeamSearch, top_k
from espnet.nets.ctc_prefix_score import CTCPrefixScorer
from espnet.nets.decode import make_search
from espnet.nets.hypotheses import Outcome
from espnet.nets.scorer_interface import BatchScorer, ScorerInterface
from espnet.nets.scorers.length_bonus import LengthBonus
from espnet.nets.search_options import SearchOptions
from espnet.nets.search_rules import RULES
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError

V = 5
EOS = V - 1
INF = float("inf")
LENGTHS = (5, 3, 4, 1)


class Bigram(BatchScorer):
    """log P(next | last, first frame of the utterance), from a random table."""

    def __init__(self, seed: int, sharpness: float = 2.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = sharpness * torch.randn(V, V, generator=generator)

    def logits(self, last: Tensor, frame: Tensor) -> Tensor:
        return (self.table[last] + frame).log_softmax(-1)

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> Tensor:
        return memory[:, 0].repeat_interleave(beam, 0)

    def score(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits(tokens, state), state

    def select(self, state: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
        return state[rows]


class SingleBigram(ScorerInterface):
    """The same as a plug-in for one hypothesis."""

    def __init__(self, inner: Bigram, final: float = 0.0) -> None:
        self.inner = inner
        self.final = final

    def init_state(self, x: Tensor) -> int:
        return 0

    def score(self, y: Tensor, state: int, x: Tensor) -> tuple[Tensor, int]:
        assert state == len(y) - 1 and y[0] == EOS
        return self.inner.logits(y[-1], x[0]), state + 1

    def final_score(self, state: int) -> float:
        return self.final * state


class Given:
    """A CTC layer whose log-posteriors are its input."""

    def log_softmax(self, hs: Tensor) -> Tensor:
        return hs.log_softmax(-1)


def memory(lengths: tuple[int, ...] = LENGTHS) -> tuple[Tensor, Tensor]:
    torch.manual_seed(7)
    hs = 2 * torch.randn(len(lengths), max(lengths), V)
    for h, n in zip(hs, lengths, strict=True):
        h[n:] = 0.0
    return hs, torch.tensor(lengths)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    merged = [p for i, p in enumerate(path) if i == 0 or p != path[i - 1]]
    return tuple(p for p in merged if p != 0)


def prefix_scores(h: Tensor) -> Callable[[tuple[int, ...]], float]:
    """log prefix probability of labels that may end in EOS, from all alignments."""
    probs = h.double().softmax(-1).numpy()
    strings: dict[tuple[int, ...], float] = {}
    for path in product(range(V), repeat=len(probs)):
        p = float(np.prod([probs[t, c] for t, c in enumerate(path)]))
        strings[collapse(path)] = strings.get(collapse(path), 0.0) + p

    def psi(labels: tuple[int, ...]) -> float:
        if labels and labels[-1] == EOS:
            total = strings.get(labels[:-1], 0.0)
        elif 0 in labels:
            total = 0.0
        else:
            total = sum(p for s, p in strings.items() if s[: len(labels)] == labels)
        return float(np.log(total)) if total > 0 else -INF

    return psi


def plain_search(
    h: Tensor, decoder: Bigram, lm: Bigram, o: SearchOptions, minlenratio: float
) -> list[tuple[list[int], float]]:
    """ESPnet1's search as the specification words it: one list of tuples, no tricks."""
    v1, frames = o.api == "v1", len(h)
    if o.maxlenratio == 0:
        maxlen = frames
    elif o.maxlenratio < 0 and not v1:
        maxlen = -int(o.maxlenratio)
    else:
        maxlen = max(1, int(o.maxlenratio * frames))
    if minlenratio < 0 and not v1:
        minlen = -int(minlenratio)
    else:
        minlen = int(minlenratio * (maxlen if v1 else frames))
    psi = prefix_scores(h)
    running: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[tuple[list[int], float]] = []
    for i in range(maxlen):
        longer = []
        for y, score in running:
            last = torch.tensor(y[-1] if y else EOS)
            dec = decoder.logits(last, h[0]).tolist()
            low = lm.logits(last, h[0]).tolist()
            attention = [(1 - o.ctc_weight) * d for d in dec]
            full = [a + o.lm_weight * w for a, w in zip(attention, low, strict=True)]
            basis = attention if v1 else full
            chosen = sorted(range(V), key=lambda c: -basis[c])
            if 0 < o.ctc_weight < 1:
                chosen = chosen[: int(1.5 * o.beam_size)]
            for c in chosen:
                local = full[c] + o.penalty
                if o.ctc_weight > 0:
                    local += o.ctc_weight * (psi((*y, c)) - psi(y))
                if local > -INF:
                    longer.append(((*y, c), score + local))
        if not longer:  # nothing is possible: all end, as at the limit
            longer = [((*y, EOS), score) for y, score in running]
        running = sorted(longer, key=lambda hyp: -hyp[1])[: o.beam_size]
        remaining = []
        for y, score in running:
            cut = i == maxlen - 1
            yseq = [EOS, *y, *([EOS] if cut else [])]
            if yseq[-1] != EOS:
                remaining.append((y, score))
            elif len(yseq) > minlen if v1 else i >= minlen:
                ended.append((yseq, score))
        running = remaining
        best = max((s for _, s in ended), default=-INF)
        far = [
            max((s for y, s in ended if len(y) == i - m), default=INF) < best - 10
            for m in range(3)
        ]
        if not running or (all(far) and o.maxlenratio == 0):
            break
    if not ended:
        lower = max(0.0, minlenratio - 0.1)
        return plain_search(h, decoder, lm, o, lower)
    return sorted(ended, key=lambda hyp: -hyp[1])[: o.nbest]


def plain_batch_search(
    h: Tensor, decoder: Bigram, lm: Bigram, o: SearchOptions
) -> list[tuple[list[int], float]]:
    """ESPnet1's search of RNN models with --batchsize 1, as the specification words it:
    an end is no continuation, but a copy of the hypothesis that is put aside."""
    frames, share = len(h), o.ctc_weight
    maxlen = frames if o.maxlenratio == 0 else max(1, int(o.maxlenratio * frames))
    minlen = int(o.minlenratio * frames)
    psi = prefix_scores(h)
    running: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[tuple[list[int], float]] = []
    for i in range(maxlen):
        longer: list[tuple[tuple[int, ...], float]] = []
        ends: list[tuple[tuple[int, ...], float]] = []
        for y, score in running:
            last = torch.tensor(y[-1] if y else EOS)
            dec, low = decoder.logits(last, h[0]), lm.logits(last, h[0])
            full = ((1 - share) * dec + o.lm_weight * low).tolist()
            if share > 0:
                full[0] = -INF
            chosen = sorted(range(V), key=lambda c: -full[c])
            if 0 < share < 1:
                chosen = chosen[: int(1.5 * o.beam_size)]
            for c in {*chosen, EOS}:
                total = score + full[c]
                if share > 0:
                    total += share * (psi((*y, c)) - psi(y))
                if c == EOS:
                    ends.append((y, total))
                elif total > -INF:
                    longer.append(((*y, c), total))
        running = sorted(longer, key=lambda hyp: -hyp[1])[: o.beam_size]
        full_beam = len(running) == o.beam_size
        worst = running[-1][1] if full_beam else -INF
        bonus = o.penalty * (i + 1)
        for j in range(o.beam_size if i >= minlen else 0):
            if j < len(ends) and ends[j][1] > worst:
                if i + 1 <= frames:
                    ended.append(([EOS, *ends[j][0], EOS], ends[j][1] + bonus))
            elif i == maxlen - 1 and j < len(running):
                y, score = running[j]
                ended.append(([EOS, *y, EOS], score + bonus))
        best = max((s for _, s in ended), default=-INF)
        far = [
            max((s for y, s in ended if len(y) == i - m), default=INF) < best - 10
            for m in range(3)
        ]
        if not running or all(far):
            break
    if not ended:  # here ESPnet1 gave up: an empty output of score -inf
        lower = max(0.0, o.minlenratio - 0.1)
        return plain_batch_search(h, decoder, lm, replace(o, minlenratio=lower))
    if share == 0:
        ended = [(y, score / len(y)) for y, score in ended]
    return sorted(ended, key=lambda hyp: -hyp[1])[: o.nbest]


def as_pairs(outcome: Outcome) -> list[tuple[list[int], float]]:
    return [(h.yseq, h.score) for h in outcome.nbest]


def assert_same(got: list[Any], expected: list[Any]) -> None:
    assert [y for y, _ in got] == [y for y, _ in expected]
    assert [s for _, s in got] == pytest.approx([s for _, s in expected], rel=1e-4)


CASES = {
    "attention": {"maxlenratio": 0.8, "minlenratio": 0.3},
    "hybrid": {"ctc_weight": 0.3, "penalty": 0.1},
    "hybrid with length limits": {
        "ctc_weight": 0.5,
        "maxlenratio": 0.7,
        "minlenratio": 0.5,
        "penalty": -0.5,
    },
    "with a language model": {"ctc_weight": 0.3, "lm_weight": 1.5},
    "language model, no CTC": {"lm_weight": 0.7},
    "CTC": {"ctc_weight": 1.0, "lm_weight": 0.0},
    "CTC and language model": {"ctc_weight": 1.0, "lm_weight": 0.5},
    "negative lengths": {"ctc_weight": 0.2, "maxlenratio": -3, "minlenratio": -2},
    "negative maximum": {"maxlenratio": -1},
    "unreachable minimum": {"maxlenratio": 0.5, "minlenratio": 1.2},
}


# v1 of CTC alone is best path decoding, which has its own test
SEARCHES = [
    pytest.param(api, case, id=f"{api} {name}")
    for api in ("v1", "v2")
    for name, case in CASES.items()
    if api == "v2" or case.get("ctc_weight") != 1.0
]


@pytest.mark.parametrize("beam", [1, 2, 3, 10])
@pytest.mark.parametrize(("api", "case"), SEARCHES)
def test_equals_a_plain_search(api: str, case: dict[str, float], beam: int) -> None:
    """All n-best lists of a padded batch are those of a search over lists."""
    options = SearchOptions(
        api=api, beam_size=beam, nbest=4, **{"lm_weight": 0.0, **case}
    )
    decoder, lm = Bigram(1), Bigram(2)
    scorers = {"decoder": decoder, "lm": lm, "ctc": CTCPrefixScorer(Given(), EOS)}
    hs, lengths = memory()
    outcomes = make_search(scorers, V, options)(hs, lengths)
    for h, n, outcome in zip(hs, LENGTHS, outcomes, strict=True):
        expected = plain_search(h[:n], decoder, lm, options, options.minlenratio)
        assert_same(as_pairs(outcome), expected)
        alone = make_search(scorers, V, options)(h[None, :n], torch.tensor([n]))[0]
        assert_same(as_pairs(alone), expected)


BATCH_SEARCHES = [
    name
    for name, case in CASES.items()
    if case.get("ctc_weight") != 1.0
    and "negative" not in name
    and "minimum" not in name
] + ["CTC and language model"]


@pytest.mark.parametrize("beam", [1, 2, 3, 10])
@pytest.mark.parametrize("name", BATCH_SEARCHES)
def test_rules_of_batches_equal_a_plain_search(name: str, beam: int) -> None:
    """All n-best lists, in a padded batch and alone."""
    options = SearchOptions(
        api="v1", beam_size=beam, nbest=4, **{"lm_weight": 0.0, **CASES[name]}
    )
    decoder, lm = Bigram(1), Bigram(2)
    scorers = {"decoder": decoder, "lm": lm, "ctc": CTCPrefixScorer(Given(), EOS)}
    search = make_search(scorers, V, options, RULES["v1 batch"])
    hs, lengths = memory()
    for h, n, outcome in zip(hs, LENGTHS, search(hs, lengths), strict=True):
        expected = plain_batch_search(h[:n], decoder, lm, options)
        assert_same(as_pairs(outcome), expected)
        alone = search(h[None, :n], torch.tensor([n]))[0]
        assert_same(as_pairs(alone), expected)


def test_a_wide_beam_finds_the_best_of_all_strings() -> None:
    """Against the enumeration of every output of up to T tokens."""
    hs, lengths = memory((3,))
    decoder = Bigram(3)
    options = SearchOptions(api="v2", beam_size=200, nbest=5, ctc_weight=0.4)
    scorers = {"decoder": decoder, "ctc": CTCPrefixScorer(Given(), EOS)}
    found = make_search(scorers, V, options)(hs, lengths)[0]
    psi = prefix_scores(hs[0])
    scored = []
    for y in (y for n in range(4) for y in product(range(V - 1), repeat=n)):
        tokens = (*y, EOS) if len(y) < 3 else y  # an end at the limit has no score
        steps = zip((EOS, *tokens), tokens, strict=False)
        total = sum(
            0.6 * float(decoder.logits(torch.tensor(a), hs[0, 0])[b]) for a, b in steps
        )
        forced = [EOS] if len(tokens) == 3 else []
        scored.append(([EOS, *tokens, *forced], total + 0.4 * psi(tokens)))
    scored.sort(key=lambda hyp: -hyp[1])
    assert_same(as_pairs(found), scored[:5])


def test_beam_one_is_greedy() -> None:
    """Each token is the best one after its predecessor."""
    hs, lengths = memory((5,))
    decoder = Bigram(4)
    yseq = [EOS]
    for _ in range(9):
        yseq.append(int(decoder.logits(torch.tensor(yseq[-1]), hs[0, 0]).argmax()))
        if yseq[-1] == EOS:
            break
    else:
        yseq.append(EOS)
    options = SearchOptions(beam_size=1, maxlenratio=-9, api="v2")
    outcome = make_search({"decoder": decoder}, V, options)(hs, lengths)[0]
    assert outcome.nbest[0].yseq == yseq
    assert outcome.cut == (len(yseq) == 11)


def test_score_is_the_weighted_sum_of_its_parts() -> None:
    options = SearchOptions(beam_size=3, nbest=3, ctc_weight=0.3, penalty=0.5)
    scorers = {"decoder": Bigram(5), "ctc": CTCPrefixScorer(Given(), EOS)}
    search = make_search(scorers, V, options)
    for outcome in search(*memory()):
        for hyp in outcome.nbest:
            assert set(hyp.parts) == {"decoder", "ctc", "length_bonus"}
            total = sum(search.weights[n] * s for n, s in hyp.parts.items())
            assert hyp.score == pytest.approx(total)
            scored = len(hyp.yseq) - 1 - (len(hyp.yseq) == outcome.longest + 2)
            assert hyp.parts["length_bonus"] == scored


def test_plug_in_for_one_hypothesis() -> None:
    """It gives what the batched scorer gives; its final score is added at the end."""
    hs, lengths = memory()
    batched = Bigram(6)

    def search(decoder: BatchScorer | ScorerInterface) -> list[Outcome]:
        return BeamSearch(
            {"decoder": decoder, "length_bonus": LengthBonus(V)},
            {"decoder": 0.5, "length_bonus": 0.2},
            vocabulary=V,
            sos=EOS,
            eos=EOS,
            beam_size=3,
            nbest=3,
        )(hs, lengths)

    expected = [as_pairs(outcome) for outcome in search(batched)]
    plain = [as_pairs(outcome) for outcome in search(SingleBigram(batched))]
    for got, want in zip(plain, expected, strict=True):
        assert_same(got, want)
    for outcome in search(SingleBigram(batched, final=-2.0)):
        for hyp in outcome.nbest:
            steps = hyp.parts["length_bonus"]
            tokens = torch.tensor(hyp.yseq)[: int(steps) + 1]
            frame = hs[[o.frames for o in search(batched)].index(outcome.frames), 0]
            local = batched.logits(tokens[:-1], frame).gather(1, tokens[1:, None])
            expected_score = float(local.sum()) - 2.0 * steps
            assert hyp.parts["decoder"] == pytest.approx(expected_score, rel=1e-4)


def test_impossible_continuations_end_the_hypotheses() -> None:
    """A decoder that repeats one label, which CTC can do (T + 1) / 2 times at most."""

    class Stubborn(Bigram):
        def logits(self, last: Tensor, frame: Tensor) -> Tensor:
            return (
                torch.tensor([0.0, 9.0, 0.0, 0.0, 0.0])
                .log_softmax(-1)
                .expand(*last.shape, V)
            )

    scorers = {"decoder": Stubborn(1), "ctc": CTCPrefixScorer(Given(), EOS)}
    options = SearchOptions(beam_size=1, ctc_weight=0.5)
    outcomes = make_search(scorers, V, options)(*memory())
    for n, outcome in zip(LENGTHS, outcomes, strict=True):
        yseq = outcome.nbest[0].yseq
        assert yseq[: (n + 1) // 2 + 2] == [EOS] + [1] * ((n + 1) // 2) + [EOS]
        assert np.isfinite(outcome.nbest[0].score)


def test_search_ends_before_the_limit() -> None:
    """End detection: hypotheses of three lengths in a row are 10 below the best."""
    calls = []

    class Ending(Bigram):
        def score(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            calls.append(len(tokens))
            local = torch.tensor([-9.0, -6.0, -9.0, -9.0, -0.01])
            return local.expand(len(tokens), V), state

    hs, lengths = torch.zeros(2, 50, V), torch.tensor([50, 40])
    options = SearchOptions(beam_size=2)
    outcomes = make_search({"decoder": Ending(1)}, V, options)(hs, lengths)
    assert [o.nbest[0].yseq for o in outcomes] == [[EOS, EOS]] * 2
    assert len(calls) == 7  # those of 2, 3, 4 labels are far: seen one step later
    calls.clear()
    options = SearchOptions(beam_size=2, maxlenratio=1.0)
    make_search({"decoder": Ending(1)}, V, options)(hs, lengths)
    assert calls == [4] * 40 + [2] * 10  # no detection; the shorter one has left


@pytest.mark.parametrize("rules", RULES)
def test_outputs_longer_than_the_input_end_too(rules: str) -> None:
    """Where no end is good enough within the frames, which is tried once only."""
    for seed, ratio, beam in product(range(12), (2.0, 4.0), (1, 2)):
        decoder = Bigram(seed)
        decoder.table[:, EOS] -= 9.0
        search = BeamSearch(
            {"decoder": decoder, "ctc": CTCPrefixScorer(Given(), EOS)},
            {"decoder": 0.5, "ctc": 0.5},
            **{"vocabulary": V, "sos": EOS, "eos": EOS, "beam_size": beam},
            **{"maxlenratio": ratio, "rules": RULES[rules]},
        )
        assert all(outcome.nbest for outcome in search(*memory()))


def test_shorter_minimum_if_nothing_ends(caplog: pytest.LogCaptureFixture) -> None:
    options = SearchOptions(api="v2", beam_size=2, maxlenratio=0.4, minlenratio=0.9)
    hs, lengths = memory((5, 5))
    with caplog.at_level(logging.WARNING):
        outcomes = make_search({"decoder": Bigram(1)}, V, options)(hs, lengths)
    assert all(outcome.nbest for outcome in outcomes)
    assert "searching again with minlenratio 0.80 instead of 0.90" in caplog.text


def test_a_scorer_of_nan_does_not_search_for_ever() -> None:
    scorers = {"decoder": Bigram(1), "lm": SingleBigram(Bigram(2), final=math.nan)}
    options = SearchOptions(beam_size=2, maxlenratio=0.4, lm_weight=0.5)
    with pytest.raises(UserError, match="of decoder, lm, one gives nan"):
        make_search(scorers, V, options)(*memory())


def test_equal_scores_go_to_the_lower_token() -> None:
    class Flat(Bigram):
        def logits(self, last: Tensor, frame: Tensor) -> Tensor:
            return torch.zeros(*last.shape, V)

    options = SearchOptions(api="v2", beam_size=3, nbest=9, maxlenratio=-2)
    hs, lengths = memory((4, 4))
    for outcome in make_search({"decoder": Flat(1)}, V, options)(hs, lengths):
        assert [h.yseq for h in outcome.nbest] == [
            [EOS, 0, 0, EOS],
            [EOS, 0, 1, EOS],
            [EOS, 0, 2, EOS],
        ]
    values = torch.tensor([[1.0, 3.0, 3.0, 2.0, 3.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    assert top_k(values, 2)[1].tolist() == [[1, 2], [0, 1]]


@pytest.mark.parametrize(("api", "yseq"), [("v1", [EOS, 1, 2]), ("v2", [EOS, 1, EOS])])
def test_ctc_alone(api: str, yseq: list[int]) -> None:
    """v1: the labels of the best path; v2: the best string, which differs here."""
    # the paths of "1" are many and weak, the path of "1 2" is the best single one
    rest = [0.0, 0.0, 0.0]
    probs = [[0.1, 0.9, *rest], [0.3, 0.3, 0.4, 0.0, 0.0], [1.0, 0.0, *rest]]
    hs = (torch.tensor(probs) + 1e-6).log()[None]
    options = SearchOptions(api=api, beam_size=3, ctc_weight=0.0)
    search = make_search({"ctc": CTCPrefixScorer(Given(), EOS)}, V, options)
    outcome = search(hs, torch.tensor([3]))[0]
    assert outcome.nbest[0].yseq == yseq
    expected = np.log(0.9 * 0.4) if api == "v1" else np.log(0.9 * 0.6 + 0.1 * 0.3)
    assert outcome.nbest[0].score == pytest.approx(expected, abs=1e-4)


def test_best_path_says_that_the_beam_is_not_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = SearchOptions(beam_size=10, ctc_weight=1.0)
    with caplog.at_level(logging.INFO):
        make_search({"ctc": CTCPrefixScorer(Given(), EOS)}, V, options)
    assert "--beam-size 10" in caplog.text and "--api v2" in caplog.text


def test_negative_lengths_are_numbers_with_v2_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for api in ("v1", "v2"):
        make_search({"decoder": Bigram(1)}, V, SearchOptions(api=api, maxlenratio=-4))
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "--maxlenratio -4" in caplog.text and "--api v2" in caplog.text


def test_ctc_weight_needs_ctc() -> None:
    with pytest.raises(
        UserError, match="--ctc-weight: 0.3 needs CTC.*--ctc-weight 0.0"
    ):
        make_search({"decoder": Bigram(1)}, V, SearchOptions(ctc_weight=0.3))


@pytest.mark.parametrize(
    "name",
    [
        "rnn_blstmp_dot",
        "rnn_bgru_multi_head_loc",
        "rnn_vggblstmp_location",
        "transformer_conv2d",
        "conformer_latest",
    ],
)
def test_golden(name: str, golden: Path) -> None:
    """Hypotheses and scores of ESPnet1's own search, all utterances in one batch."""
    folder = golden / "models" / name
    idim, odim, args = json.loads((folder / "model.json").read_text())
    model = dynamic_import(args["model_module"])(idim, odim, Namespace(**args))
    weights = torch.load(folder / "model.loss.best", weights_only=True)
    model.load_state_dict(weights)
    model.eval()
    arrays = np.load(folder / "expected.npz")
    searches = json.loads((folder / "expected.json").read_text())["decode"]
    assert searches
    for search in searches:
        args = Namespace(api=search["api"], **search["options"])
        hyps = search["hyps"]
        xs = [arrays[f"{utt}/x"] for utt in hyps]
        rules = model.search_rules(search["api"], batched=False)
        options = SearchOptions(api=search["api"], **search["options"])
        run = make_search(model.scorers(), odim, options, rules)
        found = [
            [hyp.asdict() for hyp in outcome.nbest]
            for outcome in run(*model.encode_list(xs))
        ]
        for (utt, expected), got in zip(hyps.items(), found, strict=True):
            assert [h["yseq"] for h in got] == [h["yseq"] for h in expected], utt
            for one, other in zip(got, expected, strict=True):
                assert one["score"] == pytest.approx(other["score"], rel=1e-4)
        assert model.recognize(arrays[f"{utt}/x"], args)[0]["yseq"] == got[0]["yseq"]


@pytest.mark.parametrize("name", ["transformer_conv2d", "conformer_latest"])
def test_golden_ctc_prefix_search(name: str, golden: Path) -> None:
    """ESPnet1's ``--api v2 --ctc-weight 1.0`` on its own CTC posteriors."""
    folder = golden / "models" / name
    arrays = np.load(folder / "expected.npz")
    for search in json.loads((folder / "expected.json").read_text())["decode"]:
        options = SearchOptions(api=search["api"], **search["options"])
        if options.ctc_weight == 1.0:
            break
    hs = [torch.from_numpy(arrays[f"{utt}/ctc_logp"]) for utt in search["hyps"]]
    odim = hs[0].shape[1]
    run = make_search({"ctc": CTCPrefixScorer(Given(), odim - 1)}, odim, options)
    outcomes = run(pad_sequence(hs, batch_first=True), torch.tensor([*map(len, hs)]))
    for expected, outcome in zip(search["hyps"].values(), outcomes, strict=True):
        assert_same(as_pairs(outcome), [(h["yseq"], h["score"]) for h in expected])
