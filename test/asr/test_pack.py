"""Archives: complete, checked, and without a way out of their folder."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_language import write_lm
from tone_recogniser import RATE, TOKENS, whistle, write_recogniser

from espnet.asr import load
from espnet.asr.bundle import NAME, Bundle, read_bundle
from espnet.asr.pack import (
    MANIFEST,
    pack,
    unpack,
    with_language_model,
    with_named_files,
    with_preprocessing,
)
from espnet.lm.kneser_ney import train_kneser_ney
from espnet.nets.beam_search import BeamSearch
from espnet.utils.errors import UserError

KINDS = ["model.zip", "model.tar.gz"]
WORDS = ["<blank>", "<unk>", "a", "ab", "c", "<eos>"]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    exp = write_recogniser(tmp_path / "exp" / "tones")
    return read_bundle(exp / "recogniser" / "recogniser.yaml")


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_is_all_that_is_needed(
    bundle: Bundle, tmp_path: Path, name: str
) -> None:
    notes = tmp_path / "RESULTS.md"
    notes.write_text("WER 0")
    names = pack(bundle, tmp_path / name, {"results/RESULTS.md": notes})
    assert {"exp/model.acc.best", "exp/model.json", "data/cmvn.ark"} <= set(names)
    assert "results/RESULTS.md" in names
    shutil.rmtree(tmp_path / "exp")
    assert load(tmp_path / name).transcribe(whistle("ab c"), RATE).text == "ab c"
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("name", KINDS)
def test_nothing_half_made_stays(bundle: Bundle, tmp_path: Path, name: str) -> None:
    broken = replace(bundle, rnnlm=str(tmp_path / "none"))
    with pytest.raises(UserError, match="none: no such file; it should go into"):
        pack(broken, tmp_path / name)
    assert not (tmp_path / name).exists()
    with pytest.raises(UserError, match=r"model.rar: must end in .zip or .tar.gz"):
        pack(bundle, tmp_path / "model.rar")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exp"]


def members(path: Path) -> dict[str, bytes]:
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def rewrite(path: Path, content: dict[str, bytes]) -> None:
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return
    with tarfile.open(path, "w:gz") as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("changed", "data/cmvn.ark is damaged: its SHA-256 sum is not the one"),
        ("missing", "data/cmvn.ark is missing"),
        ("added", "data/more is not in manifest.json"),
        ("manifest", "manifest.json is damaged"),
        ("escape", r"\.\./../evil: leads out of the folder"),
        ("absolute", "/tmp/evil: leads out of the folder"),
    ],
)
def test_a_changed_archive_is_refused_by_the_name_of_the_file(
    bundle: Bundle, tmp_path: Path, name: str, damage: str, message: str
) -> None:
    path = tmp_path / name
    pack(bundle, path)
    content = members(path)
    if damage == "changed":
        content["data/cmvn.ark"] = content["data/cmvn.ark"][:-1] + b"x"
    elif damage == "missing":
        del content["data/cmvn.ark"]
    elif damage == "added":
        content["data/more"] = b"x"
    elif damage == "manifest":
        content[MANIFEST] = b"{"
    else:
        evil = "../../evil" if damage == "escape" else "/tmp/evil"
        content = {evil: b"x", **content}
    rewrite(path, content)
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match=f"{name}: .*{message}"):
        unpack(path, folder)
    assert not (tmp_path / "a" / "evil").exists() and not Path("/tmp/evil").exists()


@pytest.mark.parametrize("name", KINDS)
def test_a_file_cut_short_is_refused(bundle: Bundle, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pack(bundle, path)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(UserError, match=f"{name}: is damaged: .* cannot be read"):
        load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=f"{name}: is damaged"):
        load(path)


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("exp/model.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(UserError, match=r"exp/model.json: is a link or a device"):
        unpack(path, tmp_path / "out")


def test_weights_are_not_unpickled(bundle: Bundle, tmp_path: Path) -> None:
    import torch

    torch.save({"w": Path("x")}, bundle.model)  # any class but a tensor
    pack(bundle, tmp_path / "m.zip")
    with pytest.raises(UserError, match="holds more than tensors"):
        load(tmp_path / "m.zip")


def test_an_archive_of_espnet1_is_understood_by_its_names(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "old.tar.gz"
    model = Path(bundle.model)
    rewrite(
        path,
        {
            "conf/decode.yaml": b"ctc-weight: 1.0\nbeam-size: 2\n",
            "data/train/cmvn.ark": Path(bundle.cmvn or "").read_bytes(),
            "exp/tr/results/model.acc.best": model.read_bytes(),
            "exp/tr/results/model.json": model.with_name("model.json").read_bytes(),
        },
    )
    given = {"feats": "fbank", "fbank_config": bundle.fbank_config}
    assert load(path, **given).transcribe(whistle("ab"), RATE).text == "ab"
    assert "is an archive of ESPnet1, without checksums" in caplog.text
    found = read_bundle(unpack(path, tmp_path / "out"))
    assert found.feats == "fbank_pitch" and found.decode_config
    assert "16000" in Path(found.fbank_config or "").read_text()
    rewrite(path, {"conf/decode.yaml": b""})
    with pytest.raises(UserError, match="has neither manifest.json nor a model"):
        load(path)


def test_preprocessing_that_model_json_names_goes_along(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = Path(bundle.model).with_name("model.json")
    content = json.loads(conf.read_text())
    content[2]["preprocess_conf"] = "conf/aug.yaml"
    conf.write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"preprocess_conf: no file 'conf/aug.yaml'"):
        with_preprocessing(bundle)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "aug.yaml").write_text(
        "process:\n  - {type: freq_mask, F: 2}\n"
    )
    pack(with_preprocessing(bundle), tmp_path / "m.zip")
    monkeypatch.chdir("/")
    assert load(tmp_path / "m.zip").transcribe(whistle("ab"), RATE).text == "ab"


def test_an_archive_of_espnet1_has_its_preprocessing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = json.loads(Path(bundle.model).with_name("model.json").read_text())
    conf[2]["preprocess_conf"] = "conf/aug.yaml"
    path = tmp_path / "old.tar.gz"
    rewrite(
        path,
        {
            "conf/aug.yaml": b"process:\n  - {type: freq_mask, F: 2}\n",
            "conf/decode.yaml": b"ctc-weight: 1.0\n",
            "data/train/cmvn.ark": Path(bundle.cmvn or "").read_bytes(),
            "exp/tr/results/model.acc.best": Path(bundle.model).read_bytes(),
            "exp/tr/results/model.json": json.dumps(conf).encode(),
        },
    )
    monkeypatch.chdir("/")
    given = {"feats": "fbank", "fbank_config": bundle.fbank_config}
    assert load(path, **given).transcribe(whistle("ab"), RATE).text == "ab"


@pytest.mark.parametrize("name", KINDS)
def test_a_language_model_goes_along(bundle: Bundle, tmp_path: Path, name: str) -> None:
    """rnnlm.model.best is a link, as training leaves it."""
    import torch

    from espnet.nets.pytorch_backend.lm.default import DefaultRNNLM

    sizes = {"layer": 1, "unit": 3, "embed_unit": 3, "dropout_rate": 0.0}
    sizes |= {"n_vocab": len(TOKENS), "type": "lstm"}
    folder = tmp_path / "exp" / "lm"
    folder.mkdir()
    args = {**sizes, "char_list_dict": {t: i for i, t in enumerate(TOKENS)}}
    model = DefaultRNNLM(len(TOKENS), Namespace(**args))
    torch.save(model.state_dict(), folder / "rnnlm.model.1")
    (folder / "rnnlm.model.best").symlink_to("rnnlm.model.1")
    (folder / "model.json").write_text(json.dumps(args))
    with_lm = replace(bundle, rnnlm=str(folder / "rnnlm.model.best"))
    names = pack(with_lm, tmp_path / name)
    assert {"lm/rnnlm.model.best", "lm/model.json"} <= set(names)
    shutil.rmtree(tmp_path / "exp")
    recogniser = load(tmp_path / name, lm_weight=0.2)
    assert "lm" in recogniser.recognizer.search.weights
    assert recogniser.transcribe(whistle("ab c"), RATE).text == "ab c"
    other = tmp_path / "other"  # another size: its own model.json describes it
    other.mkdir()
    args["unit"] = args["embed_unit"] = 5
    model = DefaultRNNLM(len(TOKENS), Namespace(**args))
    torch.save(model.state_dict(), other / "rnnlm.model.best")
    (other / "model.json").write_text(json.dumps(args))
    changed = load(tmp_path / name, rnnlm=other / "rnnlm.model.best")
    assert changed.transcribe(whistle("ab c"), RATE).text == "ab c"
    plain = load(tmp_path / name, rnnlm=None)
    assert "lm" not in plain.recognizer.search.weights


def test_files_of_the_decoding_config_go_along(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives are complete, wherever they are used."""
    train_kneser_ney([list("abc"), list("cab")], 2).write_arpa(tmp_path / "lm.arpa")
    letters = write_lm(tmp_path / "letters", "default", TOKENS)
    words = write_lm(tmp_path / "words", "default", WORDS)
    config = Path(bundle.decode_config or "")
    text = f"{config.read_text()}ngram-model: lm.arpa\nrnnlm: {letters}\n"
    config.write_text(text)
    monkeypatch.chdir(tmp_path)
    found = with_named_files(bundle)
    assert (found.ngram_model, found.rnnlm) == ("lm.arpa", str(letters))
    assert with_named_files(replace(bundle, decode_config=None)).rnnlm is None
    for name, packed, kind in (
        ("m.zip", found, "LMScorer"),
        ("w.zip", with_language_model(found, str(words)), "LookAheadWordLM"),
    ):
        monkeypatch.chdir(tmp_path)
        pack(packed, name)
        monkeypatch.chdir("/")
        search = load(tmp_path / name).recognizer.search
        assert isinstance(search, BeamSearch) and "ngram" in search.weights
        assert type(search.full["lm"]).__name__ == kind


def test_models_of_words_and_of_tokens_replace_each_other(
    bundle: Bundle, tmp_path: Path
) -> None:
    """They are told by ``<space>``; together they are for --multi-level-lm only."""
    letters = str(write_lm(tmp_path / "letters", "default", TOKENS))
    words = str(write_lm(tmp_path / "words", "default", WORDS))
    with_letters = with_language_model(bundle, letters)
    with_words = with_language_model(with_letters, words)
    assert (with_letters.rnnlm, with_letters.word_rnnlm) == (letters, None)
    assert (with_words.rnnlm, with_words.word_rnnlm) == (None, words)
    pack(with_words, tmp_path / "m.zip")
    for given, kind in (
        ({}, "LookAheadWordLM"),
        ({"rnnlm": letters}, "LMScorer"),
        ({"rnnlm": letters, "multi_level_lm": True}, "MultiLevelLM"),
    ):
        search = load(tmp_path / "m.zip", **given).recognizer.search
        assert isinstance(search, BeamSearch)
        assert type(search.full["lm"]).__name__ == kind
    content = members(tmp_path / "m.zip")  # as one of ESPnet1, which has no manifest
    content = {k: v for k, v in content.items() if k not in (MANIFEST, NAME)}
    rewrite(tmp_path / "old.tar.gz", content)
    found = read_bundle(unpack(tmp_path / "old.tar.gz", tmp_path / "out"))
    assert found.rnnlm is None and found.word_rnnlm
