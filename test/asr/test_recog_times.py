"""Decoding with --ctm and --segment-seconds: words, times, confidences, pieces."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_corpus import IDIM, ODIM, TOKENS, write_corpus
from tone_recogniser import PAUSE, SECONDS, ctm, start_of, write_data

from espnet.asr.align import align, align_transducer
from espnet.asr.confidence import agreement, posteriors, token_confidences
from espnet.asr.pieces import cut_features, join_outcomes
from espnet.asr.recog import recognize
from espnet.asr.recog_options import RecogOptions
from espnet.asr.words import TimedToken, plain_text, word_groups, words_of
from espnet.nets.hypotheses import Hypothesis, Outcome
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.nets.pytorch_backend.e2e_asr_transducer import E2E as Transducer
from espnet.nets.search_options import SearchOptions
from espnet.utils.errors import UserError

SEARCH = SearchOptions(api="v2", beam_size=3, ctc_weight=1.0)


def decode(
    folder: Path, model: Path, search: SearchOptions = SEARCH, **more: Any
) -> dict[str, Any]:
    options = RecogOptions(
        recog_json=str(folder / "data.json"),
        result_label=str(folder / "out" / "data.json"),
        model=str(model),
        **more,
    )
    recognize(options, search)
    utts = json.loads((folder / "out" / "data.json").read_text())["utts"]
    return {utt: entry["output"] for utt, entry in utts.items()}


def test_words_are_where_they_are_said(tmp_path: Path) -> None:
    texts = {"u1": "ab ca", "u2": "bbc"}
    model = write_data(tmp_path, texts)
    path = tmp_path / "words.ctm"
    found = decode(tmp_path, model, ctm=str(path), batchsize=2)
    assert {u: len(o) for u, o in found.items()} == {"u1": 1, "u2": 1}  # nbest is 1
    words = ctm(path)
    assert [w[0] for w in words] == ["u1", "u1", "u2"]
    assert [w[3] for w in words] == ["ab", "ca", "bbc"]
    for (_, start, seconds, _, sure), (first, last) in zip(
        words, [(0, 1), (3, 4), (0, 2)], strict=True
    ):
        assert start == pytest.approx(start_of(first), abs=PAUSE + 0.02)
        after = start_of(last) + SECONDS
        assert start + seconds == pytest.approx(after, abs=PAUSE + 0.02)
        assert 0.9 < sure <= 1.0
    decode(tmp_path, model, ctm=str(path), confidence=(0.5, -1.0))
    assert all(w[4] < 0.999 for w in ctm(path))


def test_long_utterances_are_cut_and_joined(tmp_path: Path) -> None:
    text = "abcacbbca" * 5  # 13.6 s
    model = write_data(tmp_path, {"u": text})
    path = tmp_path / "words.ctm"
    (whole,) = decode(tmp_path, model)["u"]
    best, second = decode(
        tmp_path,
        model,
        SearchOptions(api="v2", beam_size=3, ctc_weight=1.0, nbest=2),
        segment_seconds=3.0,
        batchsize=2,
        ctm=str(path),
    )["u"]
    assert whole["rec_text"] == f"{text}<eos>"
    assert best["rec_text"].replace(" ", "") == f"{text}<eos>"
    assert best["rec_token"].count("<space>") >= 4
    assert best["score"] > second["score"]
    words = ctm(path)
    assert "".join(word[3] for word in words) == text
    assert words[-1][1] + words[-1][2] == pytest.approx(start_of(45), abs=0.15)


def test_cuts_are_quiet_and_no_piece_is_short() -> None:
    random = np.random.default_rng(0)
    x = random.normal(5.0, 0.1, (1000, 4))
    pauses = [70, 150, 230, 420, 500, 640, 790, 900]
    for pause in pauses:
        x[pause - 10 : pause + 10] = -5.0
    cuts = cut_features(x, 100)
    edges = np.diff([0, *cuts, 1000])
    assert edges.max() <= 100 and edges.min() >= 50
    for pause in (70, 150, 230):
        assert min(abs(pause - cut) for cut in cuts) <= 1
    assert cut_features(x[:100], 100) == []


def outcome(*scored: tuple[list[int], float]) -> Outcome:
    return Outcome([Hypothesis(y, s) for y, s in scored], 10, 10, 0, len(scored))


def test_the_n_best_of_pieces_are_the_best_combinations() -> None:
    a = outcome(([9, 1, 9], -1.0), ([9, 2, 9], -1.5))
    b = outcome(([9, 3, 9], -0.5), ([9, 9], -2.0))
    joined = join_outcomes([a, b], separator=5)
    assert [(h.yseq, h.score) for h in joined.nbest] == [
        ([9, 1, 5, 3, 9], -1.5),
        ([9, 2, 5, 3, 9], -2.0),
    ]
    assert join_outcomes([b, a], None).nbest[0].yseq == [9, 3, 1, 9]
    assert joined.frames == 20


def test_confidence_is_agreement_times_ctc() -> None:
    one = outcome(([9, 1, 2, 9], -1.0), ([9, 1, 3, 9], -2.0), ([9, 2, 9], -3.0))
    shares = np.exp([-1.0, -2.0, -3.0])
    shares /= shares.sum()
    assert posteriors(one) == pytest.approx(shares)
    expected = [shares[0] + shares[1], shares[0] + shares[2]]
    assert agreement(one, 10) == pytest.approx(expected)
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(10), 6))
    found = align(log_probs, [1, 2])
    sure = token_confidences(one, found, 10)
    assert sure == pytest.approx(np.array(expected) * np.exp(found.peaks))
    assert token_confidences(one, None, 10) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("char_list", "tokens", "words", "text"),
    [
        (["<space>", "a"], "a b <space> c <space>", ["ab", "c"], "ab c"),
        (["▁a", "b"], "▁a b ▁ c ▁d", ["ab", "c", "d"], "ab c d"),
        (["one", "two"], "one two", ["one", "two"], "onetwo"),
    ],
)
def test_words_of_tokens(
    char_list: list[str], tokens: str, words: list[str], text: str
) -> None:
    timed = [
        TimedToken(t, float(n), n + 1.0, 1.0 - n / 10)
        for n, t in enumerate(tokens.split())
    ]
    found = words_of(timed, char_list)
    assert [word.text for word in found] == words
    assert found[0].start == 0.0
    groups = word_groups(tokens.split(), char_list)
    assert [w.confidence for w in found] == [1.0 - g[-1] / 10 for g in groups]
    assert plain_text(tokens.split()) == text


def write_tiny(folder: Path, model: torch.nn.Module, options: dict[str, Any]) -> Path:
    torch.save(model.state_dict(), folder / "model.loss.best")
    content = [IDIM, ODIM, {**options, "char_list": ["<blank>", *TOKENS, "<eos>"]}]
    (folder / "model.json").write_text(json.dumps(content))
    return folder / "model.loss.best"


@pytest.mark.parametrize("with_ctc", [True, False])
def test_transducers_tell_times_too(tmp_path: Path, with_ctc: bool) -> None:
    write_corpus(tmp_path, count=3)
    (tmp_path / "train.json").rename(tmp_path / "data.json")
    torch.manual_seed(3)
    options = {"etype": "blstmp", "elayers": 1, "eunits": 4, "eprojs": 4}
    options |= {"dtype": "lstm", "dlayers": 1, "dunits": 4, "dec_embed_dim": 4}
    options |= {"joint_dim": 4, "use_ctc_loss": with_ctc}
    options["model_module"] = "espnet.nets.pytorch_backend.e2e_asr_transducer:E2E"
    model = Transducer(IDIM, ODIM, Namespace(**options)).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value)
    path = write_tiny(tmp_path, model, options)
    search = SearchOptions(beam_size=2, nbest=1)
    found = decode(tmp_path, path, search, ctm=str(tmp_path / "w.ctm"))
    words = ctm(tmp_path / "w.ctm")
    spoken = [t for o in found.values() for t in o[0]["rec_token"].split()]
    assert [word[3] for word in words] == [t for t in spoken if t != "<eos>"]
    assert len(words) > 2 and all(0.0 <= word[4] <= 1.0 for word in words)
    memory = model.encode(torch.zeros(12, IDIM))
    ids = [1, 2, 2]
    emitted = align_transducer(model.scorers()["transducer"], memory, ids)  # type: ignore[arg-type]
    assert all(np.diff(emitted.first) >= 0) and np.isfinite(emitted.score)


def test_attention_alone_cannot_tell_times(tmp_path: Path) -> None:
    write_corpus(tmp_path, count=2)
    (tmp_path / "train.json").rename(tmp_path / "data.json")
    options = {"etype": "blstmp", "elayers": 1, "eunits": 3, "eprojs": 3, "dunits": 3}
    options["mtlalpha"] = 0.0  # type: ignore[assignment]
    path = write_tiny(tmp_path, E2E.build(IDIM, ODIM, **options), options)
    with pytest.raises(UserError, match="--ctm: the model .* cannot tell times"):
        decode(tmp_path, path, SearchOptions(maxlenratio=0.5), ctm="w.ctm")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"segment_seconds": -1.0}, "--segment-seconds: -1.0 must be above 0"),
        ({"segment_seconds": 0.5}, "--segment-seconds: 0.5 must be 1 or more, or 0"),
        ({"segment_seconds": float("inf")}, "--segment-seconds: inf .* finite"),
        ({"frame_shift": 0.0}, "--frame-shift: 0.0 must be above 0"),
        ({"ctm": "x", "streaming_mode": "window"}, "--ctm: does not go together"),
    ],
)
def test_options_that_cannot_be_meant(given: dict[str, Any], message: str) -> None:
    options = RecogOptions(recog_json="d", result_label="r", model="m", **given)
    with pytest.raises(UserError, match=message):
        options.check()
