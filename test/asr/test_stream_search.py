"""Window and segment mode of asr_recog.py."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_corpus import IDIM, ODIM, TOKENS, write_corpus
from torch import Tensor

from espnet.asr.recog import recognize
from espnet.asr.recog_options import RecogOptions
from espnet.asr.stream_search import SegmentCutter, Streaming
from espnet.nets.hypotheses import Hypothesis, Outcome
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.nets.pytorch_backend.e2e_asr_transformer import E2E as Transformer
from espnet.nets.search_options import SearchOptions
from espnet.utils.errors import UserError

HYBRID = SearchOptions(beam_size=4, ctc_weight=0.3, nbest=3, penalty=0.1)
SIZES = {"elayers": 2, "eunits": 4, "eprojs": 5, "dunits": 4, "adim": 3}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, count=4)
    return folder


def write_model(folder: Path, family: type = E2E, **options: Any) -> Path:
    """A model of random numbers, of which CTC says something else than blank too."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    model = family.build(IDIM, ODIM, **options)
    for value in model.parameters():
        torch.nn.init.normal_(value)
    stored = {**options, "model_module": f"{family.__module__}:E2E"}
    stored["char_list"] = ["<blank>", *TOKENS, "<eos>"]
    (folder / "model.json").write_text(json.dumps([IDIM, ODIM, stored]))
    torch.save(model.state_dict(), folder / "model.acc.best")
    return folder / "model.acc.best"


def decode(
    corpus: Path, model: Path, search: SearchOptions = HYBRID, **options: Any
) -> dict[str, Any]:
    result = model.parent / "result.json"
    given = {"recog_json": str(corpus / "train.json"), "result_label": str(result)}
    recognize(RecogOptions(model=str(model), **given, **options), search)
    return json.loads(result.read_text())["utts"]


@pytest.mark.parametrize("window", [1, 7, 10, 1000])
@pytest.mark.parametrize("etype", ["lstm", "grup", "vgglstmp"])
def test_window_mode_equals_whole_utterances(
    corpus: Path, tmp_path: Path, etype: str, window: int
) -> None:
    """Every n-best list, of encoders without backward layers."""
    subsample = "1_2_1" if etype == "grup" else "1"
    options = {**SIZES, "etype": etype, "subsample": subsample}
    model = write_model(tmp_path, **options)
    whole = decode(corpus, model, batchsize=0)
    found = decode(corpus, model, streaming_mode="window", streaming_window=window)
    assert list(found) == list(whole)
    for utt, result in found.items():
        expected = whole[utt]["output"]
        for one, other in zip(result["output"], expected, strict=True):
            assert one.pop("score") == pytest.approx(other["score"], rel=1e-4)
            assert one == {k: v for k, v in other.items() if k != "score"}


def test_window_mode_of_a_backward_encoder_says_what_it_is(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = write_model(tmp_path, **SIZES, etype="blstmp")
    with caplog.at_level(logging.WARNING):
        assert decode(corpus, model, streaming_mode="window")
    assert "begins anew in each window of 10 frames" in caplog.text


@pytest.mark.parametrize("mode", ["best path", "attention", "joint"])
def test_segment_mode(corpus: Path, tmp_path: Path, mode: str) -> None:
    """All that is spoken in a row is one segment: the whole from its first label on."""
    search = {
        "best path": SearchOptions(ctc_weight=1.0),
        "attention": SearchOptions(beam_size=2, maxlenratio=0.5),
        "joint": HYBRID,
    }[mode]
    model = write_model(tmp_path, **SIZES, etype="lstm")
    whole = decode(corpus, model, search, batchsize=0)
    margins = {"streaming_onset_margin": 99, "streaming_offset_margin": 99}
    found = decode(
        corpus,
        model,
        search,
        streaming_mode="segment",
        streaming_min_blank_dur=99,
        **margins,
    )
    for utt, result in found.items():
        best, expected = result["output"][0], whole[utt]["output"][0]
        assert best["rec_tokenid"] == expected["rec_tokenid"]
        assert best["score"] == pytest.approx(expected["score"], rel=1e-4)


class Echo:
    """An encoder whose frame is the first of ``factor`` input frames."""

    factor, lookahead, exact = 2, 0, True

    def feed(self, xs: Tensor, last: bool = False) -> Tensor:
        return xs[::2]


class Scripted:
    """CTC that finds a frame's label in its second value."""

    def log_softmax(self, hs: Tensor) -> Tensor:
        labels = hs[:, :, 1].long()
        return torch.nn.functional.one_hot(labels, 5).float()


def cut(labels: str, blank_dur: int = 3, onset: int = 1, offset: int = 1) -> list[str]:
    """The segments of a row of labels, as their labels."""
    frames = [[float(i // 2), float(labels[i // 2])] for i in range(2 * len(labels))]
    cutter = SegmentCutter(Echo, Scripted(), blank_dur, onset, offset)
    pieces = cutter(torch.tensor(frames).reshape(-1, 2))
    return ["".join(str(int(h[1])) for h in piece) for piece in pieces]


@pytest.mark.parametrize(
    ("labels", "settings", "segments"),
    [
        ("0001200400000", {}, ["0120040"]),  # two blanks do not end it, three do
        ("0012000000030000", {}, ["0120", "030"]),
        ("1000", {}, ["10"]),
        ("100002", {}, ["10", "02"]),  # the last one ends with the utterance
        ("10020", {}, ["10020"]),
        ("1002", {"blank_dur": 2, "onset": 2}, ["10", "02"]),
        ("100002", {"offset": 0, "onset": 0}, ["1", "2"]),
        ("100002", {"offset": 2, "onset": 9}, ["100", "002"]),  # no frame comes twice
        ("100002", {"offset": 9}, ["1000", "02"]),  # no more than there are
        ("0000", {}, []),
        ("", {}, []),
    ],
)
def test_where_segments_begin_and_end(
    labels: str, settings: dict[str, int], segments: list[str]
) -> None:
    assert cut(labels, **settings) == segments


def outcome(*hyps: tuple[list[int], float]) -> Outcome:
    nbest = [Hypothesis(ids, score, {"ctc": score / 2}) for ids, score in hyps]
    return Outcome(nbest, frames=10, longest=10, shortest=0, ended=len(nbest))


def test_joined_segments() -> None:
    """One start, one end, one space between words, and the best combinations."""
    streaming = Streaming(lambda x: [x], eos=9, space=5)
    first = outcome(([9, 1, 2, 9], -1.0), ([9, 1, 9], -3.0), ([9, 6, 9], -9.0))
    second = outcome(([9, 3, 9], -2.0), ([9, 5, 4, 9, 9], -2.5))
    joined = streaming.join([first, second])
    assert [(h.yseq, h.score) for h in joined.nbest] == [
        ([9, 1, 2, 5, 3, 9], -3.0),
        ([9, 1, 2, 5, 4, 9, 9], -3.5),
        ([9, 1, 5, 3, 9], -5.0),
    ]
    assert joined.nbest[1].parts == {"ctc": -1.75}
    assert (joined.frames, joined.longest, joined.ended) == (20, 20, 5)
    assert streaming.join([]).nbest == [Hypothesis([9, 9], 0.0)]


@pytest.mark.parametrize(
    ("family", "model", "options", "search", "words"),
    [
        (E2E, {"etype": "blstm"}, {"streaming_mode": "segment"}, HYBRID, "without b"),
        (
            E2E,
            {"etype": "lstm", "mtlalpha": 0.0},
            {"streaming_mode": "segment"},
            SearchOptions(),
            "trained without it (mtlalpha 0)",
        ),
        (
            E2E,
            {"etype": "lstm"},
            {"streaming_mode": "window"},
            SearchOptions(),
            "--ctc-weight above 0",
        ),
        (Transformer, {}, {"streaming_mode": "window"}, HYBRID, "whole utterances"),
        (Transformer, {}, {"streaming_mode": "segment"}, HYBRID, "asr_stream.py"),
    ],
)
def test_models_that_cannot_stream(
    corpus: Path,
    tmp_path: Path,
    family: type,
    model: dict[str, Any],
    options: dict[str, Any],
    search: SearchOptions,
    words: str,
) -> None:
    sizes = {**SIZES, "dlayers": 1}
    if family is Transformer:
        sizes |= {"adim": 4, "aheads": 2, "transformer_input_layer": "linear"}
    path = write_model(tmp_path, family, **sizes, **model)
    with pytest.raises(UserError) as caught:
        decode(corpus, path, search, **options)
    assert words in str(caught.value)
    assert "--streaming-mode" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"streaming_mode": "window", "batchsize": 8}, "--batchsize 1 (it is 8)"),
        ({"streaming_window": 0}, "--streaming-window: 0 must be 1 or more"),
        ({"streaming_min_blank_dur": 0}, "--streaming-min-blank-dur: 0 must be 1"),
        ({"streaming_onset_margin": -1}, "--streaming-onset-margin: -1 must be 0"),
        ({"streaming_offset_margin": -1}, "--streaming-offset-margin: -1 must be 0"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(").replace(")", r"\)")):
        RecogOptions(recog_json="x", result_label="y", model="z", **options).check()
