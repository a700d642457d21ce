"""Decoding a data.json: results, batches, and what a user can get wrong."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_corpus import IDIM, ODIM, TOKENS, write_corpus
from torch import Tensor

from espnet.asr.recog import Progress, recognize, result_entry
from espnet.asr.recog_options import RecogOptions
from espnet.asr.recognizer import Recognizer
from espnet.asr.trained import TrainedConfig
from espnet.data.ark import open_ark_writer
from espnet.data.dataset import UtteranceReader
from espnet.nets.asr_interface import ASRInterface
from espnet.nets.hypotheses import Hypothesis, Outcome
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.nets.search_options import SearchOptions
from espnet.utils.errors import DataError, UserError

HYBRID = SearchOptions(beam_size=4, ctc_weight=0.3, nbest=3, penalty=0.1)
SIZES = {"elayers": 1, "eunits": 4, "eprojs": 5, "dunits": 4, "adim": 3}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with data.json, features, model.json and model.loss.best."""
    write_corpus(tmp_path, count=7)
    (tmp_path / "train.json").rename(tmp_path / "data.json")
    write_model(tmp_path)
    return tmp_path


def write_model(folder: Path, **more: Any) -> E2E:
    torch.manual_seed(1)
    options = {**SIZES, "etype": "blstmp", "atype": "dot", **more}
    model = E2E.build(IDIM, ODIM, **options)
    for value in model.parameters():
        torch.nn.init.normal_(value)
    char_list = ["<blank>", *TOKENS, "<eos>"]
    content = [IDIM, ODIM, {**options, "char_list": char_list}]
    (folder / "model.json").write_text(json.dumps(content))
    torch.save(model.state_dict(), folder / "model.loss.best")
    return model


def decode(
    folder: Path, search: SearchOptions = HYBRID, **options: Any
) -> dict[str, Any]:
    """Decode and read the results."""
    given: dict[str, Any] = {
        "recog_json": str(folder / "data.json"),
        "result_label": str(folder / "out" / "result.json"),
        "model": str(folder / "model.loss.best"),
        **options,
    }
    recognize(RecogOptions(**given), search)
    return json.loads(Path(given["result_label"]).read_text())


def change(folder: Path, utt: str, **source: Any) -> None:
    """Change the input of an utterance in data.json."""
    content = json.loads((folder / "data.json").read_text())
    content["utts"][utt]["input"][0].update(source)
    (folder / "data.json").write_text(json.dumps(content))


def test_result_entry() -> None:
    """The entry that the specification shows."""
    reference = {"name": "target1", "text": "GO A", "token": "G O", "shape": [4, 30]}
    entry = {"input": [{}], "output": [reference], "utt2spk": "s1"}
    tokens = ["<blank>", "<unk>", "<space>", "A", "G", "O", "<eos>"]
    nbest = [Hypothesis([6, 4, 5, 2, 3, 6], -3.25), Hypothesis([6, 3], -4.5)]
    assert result_entry(entry, nbest, tokens) == {
        "output": [
            {
                **reference,
                "name": "target1[1]",
                "rec_text": "GO A<eos>",
                "rec_token": "G O <space> A <eos>",
                "rec_tokenid": "4 5 2 3 6",
                "score": -3.25,
            },
            {
                **reference,
                "name": "target1[2]",
                "rec_text": "A",
                "rec_token": "A",
                "rec_tokenid": "3",
                "score": -4.5,
            },
        ],
        "utt2spk": "s1",
    }
    assert result_entry({"input": [{}]}, nbest[1:], tokens) == {
        "output": [
            {
                "name": "[1]",
                "rec_text": "A",
                "rec_token": "A",
                "rec_tokenid": "3",
                "score": -4.5,
            }
        ]
    }


@pytest.mark.parametrize(
    "search",
    [
        HYBRID,
        SearchOptions(api="v2", beam_size=3, nbest=2, maxlenratio=0.5),
        SearchOptions(ctc_weight=1.0),
        SearchOptions(api="v2", ctc_weight=1.0, beam_size=3),
    ],
    ids=["hybrid", "attention", "best path", "prefix search"],
)
def test_batches_equal_one_by_one(data: Path, search: SearchOptions) -> None:
    """Every n-best list; the file is the same but for the last digits of scores."""
    alone = decode(data, search, batchsize=1)["utts"]
    for batchsize in (3, 8):
        together = decode(data, search, batchsize=batchsize)["utts"]
        assert list(together) == sorted(alone)
        for utt, result in together.items():
            for one, other in zip(result["output"], alone[utt]["output"], strict=True):
                score = one.pop("score")
                assert score == pytest.approx(other["score"], rel=1e-5)
                assert one == {k: v for k, v in other.items() if k != "score"}


def test_scores_of_batches_are_per_symbol_without_ctc(data: Path) -> None:
    """The v1 of RNN models; v2 knows the sum, and --batchsize 0 ranks by it."""
    limits = {"beam_size": 8, "nbest": 8, "maxlenratio": 0.5}
    sums: dict[tuple[str, str], float] = {}
    for utt, result in decode(data, SearchOptions(api="v2", **limits))["utts"].items():
        for output in result["output"]:
            sums[utt, output["rec_tokenid"]] = output["score"]
    compared = 0
    for batchsize in (0, 1):
        found = decode(data, SearchOptions(**limits), batchsize=batchsize)["utts"]
        for utt, result in found.items():
            for output in result["output"]:
                ids = output["rec_tokenid"]
                symbols = len(ids.split()) + 1 if batchsize else 1
                if (utt, ids) in sums:
                    score = pytest.approx(sums[utt, ids] / symbols, rel=1e-4)
                    assert output["score"] == score
                    compared += 1
    assert compared > 20


def test_result_file(data: Path) -> None:
    """Layout of the JSON: indented by 4, sorted, without inputs."""
    decode(data)
    text = (data / "out" / "result.json").read_text()
    content = json.loads(text)
    assert text.rstrip() == json.dumps(
        content, indent=4, sort_keys=True, ensure_ascii=False
    )
    for result in content["utts"].values():
        assert set(result) == {"output", "utt2spk"}
        assert [o["name"] for o in result["output"]] == [
            "target1[1]",
            "target1[2]",
            "target1[3]",
        ]
        scores = [o["score"] for o in result["output"]]
        assert scores == sorted(scores, reverse=True)


def test_decoding_needs_no_reference(data: Path) -> None:
    content = json.loads((data / "data.json").read_text())
    for entry in content["utts"].values():
        del entry["output"], entry["utt2spk"]
    (data / "data.json").write_text(json.dumps(content))
    result = decode(data)["utts"]["utt00"]
    assert set(result) == {"output"} and result["output"][0]["name"] == "[1]"


def test_float64_gives_the_same(data: Path) -> None:
    single, double = (decode(data, dtype=d)["utts"] for d in ("float32", "float64"))
    for utt, result in single.items():
        assert result["output"][0]["score"] == pytest.approx(
            double[utt]["output"][0]["score"], rel=1e-4
        )


def test_log(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        decode(data)
    lines = [record.getMessage() for record in caplog.records]
    first = lines.index("(1/7) decoding utt00")
    words = [line.split(":")[0] for line in lines[first + 1 : lines.index(lines[-1])]]
    for word in (
        "input lengths",
        "max output length",
        "min output length",
        "total log probability",
        "normalized log probability",
        "total number of ended hypotheses",
        "groundtruth",
        "prediction ",
    ):
        assert words.count(word) == 7, word
    assert any(line.endswith("for decoder") and " * 0.7 = " in line for line in lines)
    assert not any(line.startswith("best hypo") for line in lines)
    assert lines[-1].startswith("7/7 utterances done in 0:00:0")
    assert "real-time factor" in lines[-1] and lines[-1].endswith("0:00:00 left")


def test_log_of_v2(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        decode(data, replace(HYBRID, api="v2"))
    lines = [record.getMessage().partition(": ") for record in caplog.records]
    said = [
        text.removesuffix("<eos>") for key, _, text in lines if key == "prediction "
    ]
    raw = [text for key, _, text in lines if key == "best hypo"]
    assert [text.replace("<space>", " ") for text in raw] == said and len(said) == 7
    frames = [text for key, _, text in lines if key == "decoder input length"]
    assert frames == [text for key, _, text in lines if key == "input lengths"]


def test_progress(caplog: pytest.LogCaptureFixture) -> None:
    """Real-time factor of frames of 10 ms; time left by frames, not by utterances."""
    times = iter([0.0, 1.0, 6.0, 8.0])
    shapes = {"a": 600, "b": 300, "c": 100}
    utts = {utt: {"input": [{"shape": [n, 3]}]} for utt, n in shapes.items()}
    with caplog.at_level(logging.INFO):
        progress = Progress(utts, 0.01, clock=lambda: next(times))
        progress.batch_done(["c"], 100)
        assert not caplog.records
        progress.batch_done(["a"], 600)
        progress.report(force=True)
    assert caplog.messages == [
        "2/3 utterances done in 0:00:06, real-time factor 0.857 (frame shift of 10 ms "
        "assumed), 0:00:03 left",
        "2/3 utterances done in 0:00:08, real-time factor 1.143 (frame shift of 10 ms "
        "assumed), 0:00:03 left",
    ]


def test_preprocessing(data: Path) -> None:
    """The model's own, or --preprocess-conf instead of it; a lost file is named."""
    plain = decode(data)["utts"]
    conf = data / "preprocess.yaml"
    conf.write_text("process:\n  - {type: utterance_cmvn, norm_vars: true}\n")
    given = decode(data, preprocess_conf=str(conf))["utts"]
    write_model(data, preprocess_conf=str(conf))
    stored = decode(data)["utts"]
    assert given == stored != plain
    write_model(data, preprocess_conf="conf/lost.yaml")
    with pytest.raises(UserError, match=r"no file 'conf/lost.yaml'.*--preprocess-conf"):
        decode(data)
    assert decode(data, preprocess_conf=str(conf))["utts"] == stored


def test_features_of_another_size(data: Path) -> None:
    """In data.json: every utterance. In the archive: the one that is read."""
    (data / "out").mkdir()
    change(data, "utt01", shape=[20, 9])
    change(data, "utt03", shape=[20, 8])
    with pytest.raises(DataError) as info:
        decode(data)
    first, second = info.value.problems
    assert "utterance 'utt01': features have dimension 9, the model was" in first
    assert f"trained with {IDIM}; make them as for training" in first
    assert "'utt03': features have dimension 8" in second
    with open_ark_writer(data / "wide.ark", data / "wide.scp") as writer:
        writer.write("utt01", np.zeros((20, 9), dtype=np.float32))
    place = (data / "wide.scp").read_text().split()[1]
    change(data, "utt03", shape=[20, IDIM])
    change(data, "utt01", shape=[20, IDIM], feat=place)
    with pytest.raises(UserError, match=r"'utt01': features at .* \(20, 9\), the"):
        decode(data)
    assert not list((data / "out").iterdir())  # nothing half-written


def test_features_that_are_not_there(data: Path) -> None:
    change(data, "utt02", feat=str(data / "lost.ark:5"))
    with pytest.raises(UserError, match=r"utterance 'utt02': .*lost\.ark"):
        decode(data)


def test_utterance_without_frames(data: Path) -> None:
    np.save(data / "empty.npy", np.zeros((0, IDIM), dtype=np.float32))
    change(data, "utt04", feat=str(data / "empty.npy"), filetype="npy")
    with pytest.raises(UserError, match="utterance 'utt04': has no frames; drop it"):
        decode(data)


def test_utterance_too_short_for_the_encoder(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(self: E2E, xs: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        return xs, torch.div(ilens, 5, rounding_mode="floor")

    monkeypatch.setattr(E2E, "encode_batch", encode)
    np.save(data / "short.npy", np.zeros((4, IDIM), dtype=np.float32))
    change(data, "utt04", feat=str(data / "short.npy"), filetype="npy")
    with pytest.raises(UserError, match=r"utterance 'utt04': 4 frames are too few"):
        decode(data, batchsize=7)


def test_an_utterance_that_an_encoder_refuses_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(self: E2E, xs: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        if int(ilens.min()) < 5:  # as a Transformer's does
            raise UserError("too few frames for the input layer")
        return xs.new_zeros(*xs.shape[:2], 5), ilens

    monkeypatch.setattr(E2E, "encode_batch", encode)
    np.save(data / "short.npy", np.zeros((4, IDIM), dtype=np.float32))
    change(data, "utt04", feat=str(data / "short.npy"), filetype="npy")
    for batchsize in (0, 7):
        with pytest.raises(UserError, match="utterance 'utt04': too few frames for"):
            decode(data, batchsize=batchsize)


@pytest.mark.parametrize("name", ["enc.enc.0.bt0.bias", "dec.output.weight"])
def test_weights_that_are_not_finite(data: Path, name: str) -> None:
    weights = torch.load(data / "model.loss.best", weights_only=True)
    weights[name][0] = float("nan")
    torch.save(weights, data / "model.loss.best")
    with pytest.raises(UserError, match=f"1 parameters hold nan .*'{name}' is the fir"):
        decode(data)


def test_encoder_output_that_is_not_finite(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = torch.full((1, 4, 5), math.nan), torch.tensor([4])
    monkeypatch.setattr(E2E, "encode_list", lambda self, xs: encoded)
    with pytest.raises(UserError, match="utterance 'utt00'.*output is not finite"):
        decode(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "chainer"}, "--backend: only pytorch is built.*--backend pytorch"),
        (
            {"rnnlm": "a", "word_rnnlm": "b"},
            "--rnnlm and --word-rnnlm: only one of them",
        ),
        ({"multi_level_lm": True, "rnnlm": "a"}, "--multi-level-lm: needs both"),
        ({"dtype": "float16"}, "--dtype: float16 needs a GPU"),
        ({"batchsize": -1}, "--batchsize: -1 must be 0 or more"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    required = {"recog_json": "a", "result_label": "b", "model": "c"}
    with pytest.raises(UserError, match=message):
        RecogOptions(**required, **options).check()


def test_no_gpu(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"--ngpu: 1: .*sees no GPU.*--ngpu 0"):
        decode(data, ngpu=1)


@pytest.mark.gpu
def test_gpu_equals_cpu(data: Path) -> None:
    cpu, gpu = (decode(data, ngpu=n, batchsize=4)["utts"] for n in (0, 1))
    for utt, result in cpu.items():
        assert result["output"][0]["rec_token"] == gpu[utt]["output"][0]["rec_token"], (
            utt
        )


class SmallMemory:
    """A search for which more than two utterances are too many."""

    weights: dict[str, float]

    def __init__(self, limit: int) -> None:
        self.weights = {}
        self.limit = limit
        self.sizes: list[int] = []

    def __call__(self, memory: Tensor, lengths: Tensor) -> list[Outcome]:
        self.sizes.append(len(memory))
        if len(memory) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [
            Outcome([Hypothesis([4, n, 4], 0.0)], n, n, 0, 1) for n in lengths.tolist()
        ]


def run(search: SmallMemory, utts: Sequence[str], data: Path) -> dict[str, Outcome]:
    model: ASRInterface = write_model(data).eval()
    config = TrainedConfig(IDIM, ODIM, {}, [])
    content = json.loads((data / "data.json").read_text())["utts"]
    recognizer = Recognizer(model, search, config, UtteranceReader())
    xs = [recognizer.reader.features(utt, content[utt]) for utt in utts]
    return {
        u: h.outcome for u, h in zip(utts, recognizer.listen(utts, xs), strict=True)
    }


def test_too_large_a_batch_is_halved(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    utts = [f"utt{i:02}" for i in range(7)]
    expected = run(SmallMemory(100), utts, data)
    search = SmallMemory(2)
    found = run(search, utts, data)
    assert found == expected and list(found) == utts
    assert search.sizes == [7, 3, 1, 2, 4, 2, 2]
    assert "7 utterances together do not fit" in caplog.text
    with pytest.raises(
        UserError,
        match=r"utterance 'utt00': .*--beam-size, --segment-seconds, or --ngpu 0",
    ):
        run(SmallMemory(0), utts, data)
