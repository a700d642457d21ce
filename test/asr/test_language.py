"""Decoding with language models: scores, and what a user can get wrong."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_corpus import IDIM, write_corpus
from tiny_language import CHARS, LM_SIZES, WORDS, load_class, save, write_lm

from espnet.asr.recog import recognize
from espnet.asr.recog_options import RecogOptions
from espnet.lm.kneser_ney import train_kneser_ney
from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.nets.scorers.ngram import load_ngram
from espnet.nets.search_options import SearchOptions
from espnet.utils.errors import DataError, UserError

V1 = {"beam_size": 4, "ctc_weight": 0.3, "nbest": 3, "lm_weight": 0.5}
SEARCHES = {
    "v1": V1,
    "v2": {**V1, "api": "v2", "penalty": 0.2},
    "attention": {**V1, "api": "v2", "ctc_weight": 0.0, "maxlenratio": 0.4},
    "ctc": {**V1, "ctc_weight": 1.0},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with data.json, a recogniser of CHARS, language models, an n-gram."""
    write_corpus(tmp_path, count=5)
    (tmp_path / "train.json").rename(tmp_path / "data.json")
    sizes = {"elayers": 1, "eunits": 4, "eprojs": 5, "dunits": 4, "adim": 3}
    options = {**sizes, "etype": "blstmp", "atype": "dot"}
    model = E2E.build(IDIM, len(CHARS), **options)
    save(model, tmp_path / "model.loss.best")
    content = [IDIM, len(CHARS), {**options, "char_list": CHARS}]
    (tmp_path / "model.json").write_text(json.dumps(content))
    for module in LM_SIZES:
        write_lm(tmp_path / module, module)
    write_lm(tmp_path / "word", "default", WORDS)
    sentences = [list("ab"), ["b", "<space>", "a"], list("aab"), ["<unk>", "a"]]
    train_kneser_ney(sentences, 3).write_arpa(tmp_path / "lm.arpa")
    return tmp_path


def decode(data: Path, search: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Decode and read the results."""
    for name, value in options.items():
        if name in ("rnnlm", "word_rnnlm") and "/" not in str(value):
            options[name] = str(data / value / "rnnlm.model.best")
    given: dict[str, Any] = {
        "recog_json": str(data / "data.json"),
        "result_label": str(data / "out" / "result.json"),
        "model": str(data / "model.loss.best"),
        **options,
    }
    recog = RecogOptions(**given)
    recog.check()
    recognize(recog, SearchOptions(**search))
    utts: dict[str, Any] = json.loads(Path(given["result_label"]).read_text())["utts"]
    return utts


def load_lm(data: Path, module: str) -> LMInterface:
    args = json.loads((data / module / "model.json").read_text())
    model = load_class(args["model_module"])(args["n_vocab"], Namespace(**args))
    weights = torch.load(data / module / "rnnlm.model.best", weights_only=True)
    model.load_state_dict(weights)
    return model.eval()


def lm_score(model: LMInterface, ids: list[int], eos: int, cut: bool) -> float:
    """log p of ids that end in eos, from ``score``; a forced end is not scored."""
    y, state, total = [eos], None, 0.0
    for token in ids[:-1] if cut else ids:
        scores, state = model.score(torch.tensor(y), state, None)
        total += float(scores[token])
        y.append(token)
    return total


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("module", LM_SIZES)
def test_batches_equal_one_by_one(data: Path, module: str, search: str) -> None:
    alone = decode(data, SEARCHES[search], rnnlm=module, batchsize=1)
    plain = decode(data, SEARCHES[search])
    assert plain != alone
    together = decode(data, SEARCHES[search], rnnlm=module, batchsize=5)
    for utt, result in together.items():
        for one, other in zip(result["output"], alone[utt]["output"], strict=True):
            score = one.pop("score")
            assert score == pytest.approx(other["score"], rel=1e-5)
            assert one == {k: v for k, v in other.items() if k != "score"}


@pytest.mark.parametrize("module", LM_SIZES)
def test_the_weight_is_that_of_the_log_probability(data: Path, module: str) -> None:
    """With a beam of everything the score is that of the models, weighted."""
    search = {**SEARCHES["attention"], "beam_size": 300, "nbest": 300}
    search |= {"maxlenratio": -3, "lm_weight": 0.0}
    without = decode(data, search, rnnlm=module)
    weighted = decode(data, {**search, "lm_weight": 0.7}, rnnlm=module)
    model = load_lm(data, module)
    for utt, result in weighted.items():
        plain = {o["rec_tokenid"]: o["score"] for o in without[utt]["output"]}
        found = 0
        for output in result["output"]:
            ids = [int(i) for i in output["rec_tokenid"].split()]
            if output["rec_tokenid"] not in plain:
                continue
            found += 1
            score = lm_score(model, ids, len(CHARS) - 1, cut=len(ids) == 4)
            expected = plain[output["rec_tokenid"]] + 0.7 * score
            assert output["score"] == pytest.approx(expected, rel=1e-4)
        assert found > 100


@pytest.mark.parametrize("kind", ["part", "full"])
def test_ngram(data: Path, kind: str) -> None:
    """Its part of the score is the sum of log10 probabilities, that of the end too."""
    options = {"ngram_model": str(data / "lm.arpa"), "ngram_scorer": kind}
    search = {**V1, "api": "v2", "beam_size": 300, "nbest": 300, "maxlenratio": -3}
    without = decode(data, {**search, "ngram_weight": 0.0}, **options)
    weighted = decode(data, {**search, "ngram_weight": 0.5}, **options)
    model = load_ngram(data / "lm.arpa", CHARS)
    for utt, result in weighted.items():
        plain = {o["rec_tokenid"]: o["score"] for o in without[utt]["output"]}
        for output in result["output"][:50]:
            ids = [int(i) for i in output["rec_tokenid"].split()]
            context, total = model.start(), 0.0
            for token in ids if len(ids) < 4 else ids[:-1]:
                total += model.scores(context)[token]
                context = model.advance(context, token)
            if output["rec_tokenid"] in plain:
                expected = plain[output["rec_tokenid"]] + 0.5 * total
                assert output["score"] == pytest.approx(expected, rel=1e-4)
    batched = decode(data, {**V1, "api": "v2"}, **options, batchsize=3)
    assert batched.keys() == decode(data, {**V1, "api": "v2"}, **options).keys()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("kind", ["look-ahead", "multi-level"])
def test_word_models_in_batches(data: Path, kind: str, search: str) -> None:
    options: dict[str, Any] = {"word_rnnlm": "word"}
    if kind == "multi-level":
        options |= {"rnnlm": "default", "multi_level_lm": True}
    alone = decode(data, SEARCHES[search], **options, batchsize=1)
    together = decode(data, SEARCHES[search], **options, batchsize=5)
    for utt, result in together.items():
        for one, other in zip(result["output"], alone[utt]["output"], strict=True):
            assert one["rec_tokenid"] == other["rec_tokenid"]
            assert one["score"] == pytest.approx(other["score"], rel=1e-5)


def test_the_end_of_a_sentence_has_its_words_probability(data: Path) -> None:
    """Of "a", "ab a" the whole part is log p of the words and of their end."""
    search = {**SEARCHES["attention"], "beam_size": 2000, "nbest": 2000}
    search |= {"maxlenratio": -6, "lm_weight": 1.0}
    outputs = decode(data, search, word_rnnlm="word")["utt00"]["output"]
    plain = {
        o["rec_tokenid"]: o["score"] for o in decode(data, search)["utt00"]["output"]
    }
    model = load_lm(data, "word")
    known = {"3 5": [2], "3 4 5": [3], "4 5": [4], "3 4 2 3 5": [3, 2]}
    found = [o for o in outputs if o["rec_tokenid"] in known.keys() & plain.keys()]
    assert len(found) >= 3
    for output in found:
        words = [*known[output["rec_tokenid"]], 5]
        expected = plain[output["rec_tokenid"]] + lm_score(model, words, 5, cut=False)
        assert output["score"] == pytest.approx(expected, rel=1e-4)


def test_best_path_gives_way_to_a_language_model(data: Path) -> None:
    """--ctc-weight 1.0 with --api v1 has no beam, unless there is a weighted LM."""
    best_path = decode(data, SEARCHES["ctc"])
    assert len(best_path["utt00"]["output"]) == 1
    unused = decode(data, {**SEARCHES["ctc"], "lm_weight": 0.0}, rnnlm="default")
    assert unused == best_path
    assert len(decode(data, SEARCHES["ctc"], rnnlm="default")["utt00"]["output"]) == 3


def test_snapshot_and_conf_of_another_place(data: Path) -> None:
    best = decode(data, V1, rnnlm="default")
    weights = torch.load(data / "default/rnnlm.model.best", weights_only=True)
    torch.save({"model": weights, "trainer": {}}, data / "snapshot.ep.1")
    (data / "default/model.json").rename(data / "lm.json")
    options = {
        "rnnlm": str(data / "snapshot.ep.1"),
        "rnnlm_conf": str(data / "lm.json"),
    }
    assert decode(data, V1, **options) == best


def test_other_number_formats(data: Path) -> None:
    options = {"rnnlm": "transformer", "ngram_model": str(data / "lm.arpa")}
    single, double = (
        decode(data, V1, **options, dtype=d) for d in ("float32", "float64")
    )
    words = [
        decode(data, V1, word_rnnlm="word", dtype=d) for d in ("float32", "float64")
    ]
    for a, b in ((single, double), words):
        for utt, result in a.items():
            assert result["output"][0]["score"] == pytest.approx(
                b[utt]["output"][0]["score"], rel=1e-4
            )


def test_another_vocabulary(data: Path) -> None:
    write_lm(data / "other", "default", [*CHARS[:4], "c", "d", "<eos>"])
    with pytest.raises(
        UserError, match="it has 7 tokens, the recogniser 6; the first "
    ):
        decode(data, V1, rnnlm="other")
    write_lm(data / "other", "default", [*CHARS[:3], "b", "a", "<eos>"])
    with pytest.raises(UserError, match="token 3, 'b' there and 'a' in the recogniser"):
        decode(data, V1, rnnlm="other")
    with pytest.raises(
        UserError, match=r"--rnnlm: .*a model of words is for --word-rn"
    ):
        decode(data, V1, rnnlm="word")
    write_lm(data / "other", "default", [*CHARS, "more"], char_list_dict=None)
    with pytest.raises(UserError, match="7 tokens, the recogniser 6; train it"):
        decode(data, V1, rnnlm="other")


def test_files_that_are_no_language_model(data: Path) -> None:
    with pytest.raises(
        UserError, match="belongs to a recogniser; --rnnlm wants a lang"
    ):
        decode(data, V1, rnnlm=str(data / "model.loss.best"))
    with pytest.raises(UserError, match="no such model file; --rnnlm wants rnnlm.mod"):
        decode(data, V1, rnnlm="lost")
    conf = data / "default" / "model.json"
    for content, message in (
        ("{", "model.json: not valid JSON"),
        ("3", "must be an object with the options of training"),
        ("{}", "has no n_vocab; is it of a language model"),
        ('{"n_vocab": 6, "backend": "chainer"}', "is of a Chainer model"),
        ('{"n_vocab": 6, "unit": 0}', "model.json: unit: 0 must be 1 or more"),
        (
            '{"n_vocab": 6, "model_module": "tiny_recogniser:E2E"}',
            "model_module 'tiny_recogniser:E2E' is not a language model",
        ),
    ):
        conf.write_text(content)
        with pytest.raises(UserError, match=message):
            decode(data, V1, rnnlm="default")
    conf.unlink()
    with pytest.raises(UserError, match=r"cannot be read: .*--rnnlm-conf names"):
        decode(data, V1, rnnlm="default")


def test_weights_that_do_not_fit(data: Path) -> None:
    conf = data / "transformer" / "model.json"
    args = json.loads(conf.read_text())
    conf.write_text(json.dumps({**args, "layer": 3}))
    with pytest.raises(DataError, match="give the right --rnnlm or --rnnlm-conf"):
        decode(data, V1, rnnlm="transformer")


def test_weights_that_are_not_finite(data: Path) -> None:
    """The word model's made the search go round for ever."""
    for kind in ("rnnlm", "word_rnnlm"):
        path = data / ("default" if kind == "rnnlm" else "word") / "rnnlm.model.best"
        weights = torch.load(path, weights_only=True)
        weights["predictor.lo.bias"].fill_(float("nan"))
        torch.save(weights, path)
        with pytest.raises(UserError, match="'predictor.lo.bias' is the first; its tr"):
            decode(data, V1, **{kind: path})


def test_word_model_without_its_dictionary(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """--word-dict may stand in for it; otherwise model.json's is used."""
    expected = decode(data, V1, word_rnnlm="word")
    words = "".join(f"{w} {i}\n" for i, w in enumerate(WORDS[1:-1], 1))
    (data / "words.txt").write_text(words)
    (data / "short.txt").write_text("".join(words.splitlines(True)[:-1]))
    short = decode(data, V1, word_rnnlm="word", word_dict=str(data / "short.txt"))
    assert (
        short == expected and "differs from the words in the model.json" in caplog.text
    )
    conf = data / "word" / "model.json"
    args = {**json.loads(conf.read_text()), "char_list_dict": None}
    conf.write_text(json.dumps(args))
    with pytest.raises(UserError, match="without its dictionary.* with --word-dict"):
        decode(data, V1, word_rnnlm="word")
    with pytest.raises(UserError, match="has 6 words, its dictionary 5; give the word"):
        decode(data, V1, word_rnnlm="word", word_dict=str(data / "short.txt"))
    given = decode(data, V1, word_rnnlm="word", word_dict=str(data / "words.txt"))
    assert given == expected


def test_models_that_cannot_read_words(data: Path) -> None:
    write_lm(data / "word", "transformer", WORDS)
    with pytest.raises(
        UserError, match="TransformerLM cannot be a model of words, onl"
    ):
        decode(data, V1, word_rnnlm="word")
    with pytest.raises(UserError, match="a model of characters.*give it as --rnnlm"):
        decode(data, V1, word_rnnlm="default")


@pytest.mark.gpu
@pytest.mark.parametrize(
    "options",
    [
        *({"rnnlm": module} for module in LM_SIZES),
        {"word_rnnlm": "word"},
        {"word_rnnlm": "word", "rnnlm": "seq_rnn", "multi_level_lm": True},
        {"ngram_model": "lm.arpa"},
    ],
)
def test_gpu_equals_cpu(data: Path, options: dict[str, Any]) -> None:
    if "ngram_model" in options:
        options = {"ngram_model": str(data / options["ngram_model"])}
    cpu, gpu = (decode(data, V1, **options, ngpu=n, batchsize=4) for n in (0, 1))
    for utt, result in cpu.items():
        a, b = result["output"][0], gpu[utt]["output"][0]
        assert a["rec_token"] == b["rec_token"]
        assert math.isclose(a["score"], b["score"], rel_tol=1e-3)
