"""data2json's work: transcripts, features and dictionary become data.json."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece

from espnet.data.ark import open_ark_writer
from espnet.data.make_manifest import ManifestOptions, make_manifest
from espnet.text.dictionary import Dictionary
from espnet.utils.errors import DataError, UserError

DICTIONARY = Dictionary(["<unk>", "<N>", "<space>", "A", "B"], "units.txt")
FRAMES = {"s1-a-en": 7, "s1-b-de": 3, "s2-c-en": 5}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory whose features are in two archives."""
    write(tmp_path, text="s1-a-en AB A\ns1-b-de B\ns2-c-en <N>  Ä AQ\n")
    write(tmp_path, utt2spk="s1-a-en s1\ns1-b-de s1\ns2-c-en s2\n")
    scp = ""
    for name, ids in (("1", ["s1-a-en"]), ("2", ["s1-b-de", "s2-c-en"])):
        ark, index = tmp_path / f"f.{name}.ark", tmp_path / f"f.{name}.scp"
        with open_ark_writer(ark, index, compress=name == "2") as writer:
            for utt in ids:
                writer.write(utt, np.ones((FRAMES[utt], 4), np.float32))
        scp += index.read_text()
    write(tmp_path, feats=scp)
    (tmp_path / "feats").rename(tmp_path / "feats.scp")
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def make(data: Path, **options: Any) -> dict[str, Any]:
    options = {"feat": str(data / "feats.scp"), **options}
    return make_manifest(data, DICTIONARY, ManifestOptions(**options))


@pytest.mark.parametrize("nj", [1, 2, 9])
def test_an_entry_holds_everything(data: Path, nj: int) -> None:
    places = dict(line.split() for line in (data / "feats.scp").open())
    utts = make(data, nlsyms="", nj=nj)
    assert list(utts) == list(FRAMES)
    assert utts["s1-a-en"] == {
        "input": [{"feat": places["s1-a-en"], "name": "input1", "shape": [7, 4]}],
        "output": [
            {
                "name": "target1",
                "shape": [4, 7],  # V: last id of the dictionary + 2
                "text": "AB A",
                "token": "A B <space> A",
                "tokenid": "4 5 3 4",
            }
        ],
        "utt2spk": "s1",
    }
    shapes = {utt: entry["input"][0]["shape"] for utt, entry in utts.items()}
    assert shapes == {utt: [frames, 4] for utt, frames in FRAMES.items()}


def test_tokens_that_are_unknown_are_counted(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(data, syms="<N>\n")
    with caplog.at_level(logging.WARNING):
        utts = make(data, nlsyms=str(data / "syms"))
    target = utts["s2-c-en"]["output"][0]
    assert target["text"] == "<N>  Ä AQ"
    assert target["token"] == "<N> <space> Ä <space> A Q"
    assert target["tokenid"] == "2 3 1 3 4 1"
    assert caplog.messages == [
        "2 tokens (2 kinds) not in units.txt became <unk>: 'Ä' 1, 'Q' 1"
    ]
    ids = make(data, nlsyms=str(data / "syms"), oov="B")["s2-c-en"]["output"][0]
    assert ids["tokenid"] == "2 3 5 3 4 5"


def test_labels_and_several_inputs(data: Path) -> None:
    scp = str(data / "feats.scp")
    options = {"feat": f"{scp},{scp}", "filetype": "mat"}
    entry = make(data, **options, lang="en", category="c1")["s1-b-de"]
    assert [part["name"] for part in entry["input"]] == ["input1", "input2"]
    assert all(part["filetype"] == "mat" for part in entry["input"])
    assert (entry["lang"], entry["category"]) == ("en", "c1")
    assert make(data, feat="")["s1-b-de"]["input"] == []  # text to text


def test_multilingual_takes_the_language_from_the_id(data: Path) -> None:
    write(data, syms="<N>\n")
    utts = make(data, multilingual=True, lang="xx", nlsyms=str(data / "syms"))
    assert [entry["lang"] for entry in utts.values()] == ["en", "de", "en"]
    target = utts["s2-c-en"]["output"][0]  # <N> was the first token
    assert target["token"] == "<space> Ä <space> A Q" and target["shape"] == [5, 7]


def test_other_kinds_of_tokens_and_features(data: Path) -> None:
    utts = make(data, trans_type="phn")
    assert utts["s2-c-en"]["output"][0]["tokenid"] == "2 1 1"
    write(data, text="s1-a-en AB A\n", utt2spk="s1-a-en s1\n")
    np.save(data / "x.npy", np.zeros((9, 2), np.float32))
    write(data, npy=f"s1-a-en {data / 'x.npy'}\n")
    utts = make(data, feat=str(data / "npy"), filetype="npy")
    assert utts["s1-a-en"]["input"][0]["shape"] == [9, 2]


def test_sub_words_are_those_of_the_library(data: Path) -> None:
    write(data, lines="AB A B\nAB BA A\n" * 5)
    sentencepiece.SentencePieceTrainer.train(
        input=str(data / "lines"),
        vocab_size=7,
        model_prefix=str(data / "m"),
        minloglevel=2,
    )
    library = sentencepiece.SentencePieceProcessor(model_file=str(data / "m.model"))
    target = make(data, bpecode=str(data / "m.model"))["s1-a-en"]["output"][0]
    assert target["token"].split() == library.encode("AB A", out_type=str)


def test_utterances_in_one_file_only_are_all_named(data: Path) -> None:
    write(data, text="s1-a-en AB\nx A\ny A\n", utt2spk="s1-a-en s1\nx s\ny s\n")
    with pytest.raises(DataError) as caught:
        make(data)
    text, scp = data / "text", data / "feats.scp"
    assert [problem.split(";")[0] for problem in caught.value.problems] == [
        f"{text}:2: utterance 'x' is not in {scp}",
        f"{text}:3: utterance 'y' is not in {scp}",
        f"{scp}:2: utterance 's1-b-de' is not in {text}",
        f"{scp}:3: utterance 's2-c-en' is not in {text}",
    ]
    write(data, utt2spk="x s\ny s\nz s\n")
    with pytest.raises(DataError, match="utt2spk:3: utterance 'z' is not in .*text;"):
        make(data)


def test_empty_transcripts_are_named_or_allowed(data: Path) -> None:
    write(data, text="s1-a-en\ns1-b-de B\ns2-c-en \n")
    with pytest.raises(DataError) as caught:
        make(data)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[1] == (
        f"{data}/text:3: transcript of 's2-c-en' is empty; drop the utterance or give "
        "--allow-one-column true"
    )
    target = make(data, allow_one_column=True)["s1-a-en"]["output"][0]
    assert (target["shape"], target["text"], target["tokenid"]) == ([0, 7], "", "")


def test_bad_lines_of_all_files_are_reported(data: Path) -> None:
    write(data, text="s1-a-en A\ns1-a-en B\n\n", utt2spk="s1-a-en\n")
    (data / "feats.scp").unlink()
    with pytest.raises(DataError) as caught:
        make(data)
    words = str(caught.value)
    assert "text:2: 's1-a-en' is in line 1 already" in words
    assert "text:3: empty line; delete it" in words
    assert "utt2spk:1: 's1-a-en' has nothing after it" in words
    assert "feats.scp: cannot be read: No such file" in words


def test_shapes_are_those_that_preprocessing_makes(data: Path) -> None:
    """What augments is off: a shape must hold for every epoch."""
    write(data, chain="process: [{type: delta}, {type: time_mask, T: 2}]\n")
    utts = make(data, preprocess_conf=str(data / "chain"), nj=2)
    shapes = {utt: entry["input"][0]["shape"] for utt, entry in utts.items()}
    assert shapes == {utt: [frames, 12] for utt, frames in FRAMES.items()}
    write(data, chain="process: [{type: wpe}]\n")
    with pytest.raises(UserError, match=r"feats.scp: s1-a-en: wpe: needs complex"):
        make(data, preprocess_conf=str(data / "chain"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preprocess_conf": "conf/p.yaml"}, "conf/p.yaml: "),
        ({"filetype": "hdf"}, "filetype: 'hdf' is none of mat, vec"),
        ({"nj": 0}, "nj: 0 must be 1 or more"),
        ({"oov": "<oov>"}, "oov: '<oov>' is not a token of units.txt"),
        ({"bpecode": "none.model"}, "none.model: no such sentencepiece model"),
    ],
)
def test_options_that_cannot_work(
    data: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError) as caught:
        make(data, **options)
    assert words in str(caught.value)


def test_features_that_cannot_be_read_are_named(data: Path) -> None:
    scp = (data / "feats.scp").read_text()
    write(data, feats=scp.replace("f.2.ark", "gone.ark"))
    with pytest.raises(UserError, match=r"feats: .*gone\.ark.*: No such file"):
        make(data, feat=str(data / "feats"))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((0, 4), "f.scp:2: features of 'u2' are empty: (0, 4)"),
        (
            (6, 5),
            "f.scp:2: features of 'u2' are (6, 5), but those of line 1 are (6, 4);",
        ),
    ],
)
def test_features_that_do_not_fit_the_others_are_named(
    tmp_path: Path, shape: tuple[int, int], words: str
) -> None:
    write(tmp_path, text="u1 A\nu2 B\n", utt2spk="u1 s\nu2 s\n")
    path = tmp_path / "f.scp"
    with open_ark_writer(tmp_path / "f.ark", path) as writer:
        writer.write("u1", np.zeros((6, 4), np.float32))
        writer.write("u2", np.zeros(shape, np.float32))
    with pytest.raises(DataError) as caught:
        make(tmp_path, feat=str(path))
    assert words in str(caught.value)
