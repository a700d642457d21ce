"""pack_model.sh, recog_wav.sh, asr_align_wav.sh and fit_confidence.py from outside."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_language import write_lm
from tone_recogniser import RATE, TOKENS, ctm, start_of, whistle, write_recogniser

ROOT = Path(__file__).resolve().parents[1]
UTILS = ROOT / "utils"


def call(
    folder: Path, script: str, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """In another folder, with the plug-in model of the tests on the path."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "test"), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [str(UTILS / script), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "x.wav", whistle("ab ca"), RATE)
    return write_recogniser(tmp_path / "exp" / "tones")


def test_from_an_experiment_to_text(exp: Path, tmp_path: Path) -> None:
    packed = call(tmp_path, "pack_model.sh", "exp/tones", "--outfile", "m.zip")
    assert packed.returncode == 0, packed.stderr
    assert "- Model files (in m.zip, made by `pack_model.sh`)" in packed.stdout
    assert "  - `exp/model.acc.best`" in packed.stdout
    manifest = json.loads(zipfile.ZipFile(tmp_path / "m.zip").read("manifest.json"))
    assert len(manifest["files"]["data/cmvn.ark"]["sha256"]) == 64
    done = call(tmp_path, "recog_wav.sh", "--models", "m.zip", "x.wav")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Recognized text: ab ca\n"
    result = json.loads((tmp_path / "decode" / "x" / "result.json").read_text())
    (best,) = result["utts"]["x"]["output"]
    assert best["rec_text"] == "ab ca<eos>" and best["name"] == "target1[1]"
    assert best["rec_token"] == "a b <space> c a <eos>"
    assert best["rec_tokenid"].split()[-1] == str(len(TOKENS) - 1)
    words = ctm(tmp_path / "decode" / "x" / "result.ctm")
    assert [(w[0], w[3]) for w in words] == [("x", "ab"), ("x", "ca")]
    assert words[1][1] == pytest.approx(start_of(3), abs=0.12)


def test_the_way_of_espnet1(exp: Path, tmp_path: Path) -> None:
    """Configs, statistics and weights one by one; underscores or dashes."""
    beside = exp / "recogniser"
    for name in ("train.yaml", "units.txt", "RESULTS.md"):
        (tmp_path / name).write_text("")
    files = ["train.yaml", beside / "decode.yaml", beside / "cmvn.ark"]
    model = exp / "results" / "model.acc.best"
    packed = call(
        tmp_path,
        *("pack_model.sh", "--dict", "units.txt", "--results", "RESULTS.md"),
        *("--etc", "train.yaml units.txt", "--outfile", "m", *files, model),
    )
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(tmp_path / "m.tar.gz") as archive:
        names = archive.getnames()
    assert {"conf/train.yaml", "conf/decode.yaml", "data/units.txt"} <= set(names)
    assert {"etc/units.txt", "results/RESULTS.md", "exp/model.json"} <= set(names)
    one_by_one = ["--recog_model", model, "--cmvn", beside / "cmvn.ark"]
    one_by_one += ["--decode-config", beside / "decode.yaml", "--decode_dir", "out"]
    done = call(tmp_path, "recog_wav.sh", *one_by_one, "--api", "v1", "x.wav")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Recognized text: ab ca\n"
    assert (tmp_path / "out" / "x" / "result.json").is_file()
    looked = call(tmp_path, "recog_wav.sh", *one_by_one, "--stop_stage", "2", "x.wav")
    assert (looked.returncode, looked.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.wav"], "--models: is missing: an archive of pack_model.sh, or a folder"),
        (
            ["--models", "tedlium2.transformer.v1", "x.wav"],
            "tedlium2.transformer.v1: no such file or folder; if it is the name of a "
            "model that ESPnet's authors published, download its archive first",
        ),
        (["--models", "exp/tones", "y.wav"], "y.wav: no such file"),
        (["--models", "exp/tones", "empty.wav"], "empty.wav: is empty (0 bytes)"),
        (["--models", "broken.zip", "x.wav"], "broken.zip: is damaged"),
    ],
)
def test_mistakes_of_recog_wav(
    exp: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "broken.zip").write_bytes(b"PK broken")
    done = call(tmp_path, "recog_wav.sh", *arguments)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "decode").exists()


def test_mistakes_of_pack_model(exp: Path, tmp_path: Path) -> None:
    done = call(tmp_path, "pack_model.sh", "exp/tones", "more")
    assert done.returncode == 2 and "got 2 arguments" in done.stderr
    done = call(tmp_path, "pack_model.sh", "exp/tones", "--lm", "none.best")
    assert done.returncode == 1 and "none.best: no such file" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exp", "x.wav"]


def test_where_a_text_is_said(exp: Path, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("ab\nca\n")
    done = call(tmp_path, "asr_align_wav.sh", "--models", "exp/tones", "x.wav", "lines")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "align" / "aligned_segments").read_text()
    assert done.stdout == lines
    rows = [line.split() for line in lines.splitlines()]
    assert [row[:2] for row in rows] == [["x_0000", "x"], ["x_0001", "x"]]
    words = ctm(tmp_path / "align" / "words.ctm")
    assert [word[3] for word in words] == ["ab", "ca"]
    assert words[1][1] == pytest.approx(start_of(3), abs=0.22)
    text = call(
        tmp_path,
        *("asr_align_wav.sh", "--models", "exp/tones", "--align-dir", "b"),
        *("--min-confidence-score", "-0.0001", "--nlsyms", "x", "x.wav", "bac"),
    )
    assert text.returncode == 0 and "--nlsyms: model.json has the tokens" in text.stderr
    assert (tmp_path / "b" / "aligned_segments_clean").read_text() == ""
    long = call(
        tmp_path, "asr_align_wav.sh", "--models", "exp/tones", "x.wav", "a" * 500
    )
    assert long.returncode == 1
    assert "recording 'x': is too short for its text" in long.stderr
    assert "that needs 999 encoder frames" in long.stderr


def test_confidences_are_calibrated(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    text, lines = [], []
    for number in range(300):
        raw = random.uniform(0.5, 0.99)
        right = random.uniform() < 0.5  # whatever the recogniser says
        text.append(f"u{number:03} {'a' if right else 'b'}\n")
        lines.append(f"u{number:03} 1 0.00 0.10 a {raw:.4f}\n")
    (tmp_path / "text").write_text("".join(text))
    (tmp_path / "x.ctm").write_text("".join(lines))
    done = call(tmp_path, "fit_confidence.py", "text", "x.ctm")
    assert done.returncode == 0, done.stderr
    assert "# as they are: expected calibration error 0.2" in done.stdout
    assert "# with the map: expected calibration error 0.0" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("confidence: ")
    again = call(
        tmp_path, "fit_confidence.py", "text", "x.ctm", "--confidence", last[12:]
    )
    assert again.stdout.splitlines()[-1] == last


def test_language_models_of_words(exp: Path, tmp_path: Path) -> None:
    """``--lm`` takes them too, and replaces what the recipe noted."""
    words = ["<blank>", "<unk>", "ab", "ca", "<eos>"]
    lm = write_lm(tmp_path / "words", "default", words)
    noted = exp / "recogniser" / "recogniser.yaml"
    noted.write_text(noted.read_text() + f"word_rnnlm: {lm}\n")
    beside = exp / "recogniser"
    files = [beside / "decode.yaml", beside / "decode.yaml", beside / "cmvn.ark"]
    files.append(exp / "results" / "model.acc.best")
    for arguments, kept in (
        (["--lm", lm, *files], ["wordlm/rnnlm.model.best"]),
        (["--lm", lm, "exp/tones"], ["wordlm/rnnlm.model.best"]),
        (files, []),
    ):
        packed = call(tmp_path, "pack_model.sh", "--outfile", "m", *arguments)
        assert packed.returncode == 0, packed.stderr
        with tarfile.open(tmp_path / "m.tar.gz") as archive:
            names = archive.getnames()
        assert [name for name in names if "rnnlm" in name] == kept
    letters = write_lm(tmp_path / "letters", "default", TOKENS)
    for option, model in (("--lang-model", letters), ("--word-lang-model", lm)):
        arguments = ["--models", "exp/tones", option, model, "x.wav"]
        done = call(tmp_path, "recog_wav.sh", *arguments)
        assert done.stdout == "Recognized text: ab ca\n", done.stderr


def test_without_the_language_model_of_the_decoding_config(
    exp: Path, tmp_path: Path
) -> None:
    """``--use-lang-model false`` wins over a config that names one."""
    config = exp / "recogniser" / "decode.yaml"
    config.write_text(config.read_text() + "rnnlm: none.model\nngram-model: none\n")
    said = call(tmp_path, "recog_wav.sh", "--models", "exp/tones", "x.wav")
    assert said.returncode == 1 and "none.model: no such model file" in said.stderr
    arguments = ["--models", "exp/tones", "--use-lang-model", "false", "x.wav"]
    said = call(tmp_path, "recog_wav.sh", *arguments)
    assert said.stdout == "Recognized text: ab ca\n", said.stderr


def test_a_file_where_the_folder_of_results_should_be(
    exp: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("")
    arguments = ["--models", "exp/tones", "--decode-dir", "out", "x.wav"]
    said = call(tmp_path, "recog_wav.sh", *arguments)
    assert said.returncode == 1
    assert "out/x/result.json: cannot be written: Not a directory" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_file_without_text_cannot_be_aligned(exp: Path, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("\n\n")
    done = call(tmp_path, "asr_align_wav.sh", "--models", "exp/tones", "x.wav", "lines")
    assert done.returncode == 1 and "lines: has no line of text" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_recipes_note_what_a_recogniser_needs(tmp_path: Path) -> None:
    """The function of stages 4 and 5, in a folder like a recipe's."""
    for name in (
        "conf/fbank.conf",
        "conf/pitch.conf",
        "conf/decode.yaml",
        "data/tr/cmvn.ark",
        "data/lang_char/tr_unigram9.model",
        "exp/lm/rnnlm.model.best",
        "conf/specaug.yaml",
        "exp/one/results/model.acc.best",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    train_config = tmp_path / "conf" / "train.yaml"
    train_config.write_text('preprocess-conf: "conf/specaug.yaml"  # masks\n')
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "utt2num_frames").write_text("a 20\nb 1200\nc 300\n")
    script = f"""
        set -euo pipefail
        . {UTILS}/recogniser.sh
        expdir=exp/one feats=fbank_pitch train_set=tr nbpe=9 do_delta=true
        fbank_config=conf/fbank.conf pitch_config=conf/pitch.conf preprocess_config=
        train_config=conf/train.yaml
        bpe_model=data/lang_char/tr_unigram9 decode_config=conf/decode.yaml
        recog_model=model.acc.best lm_options=(--rnnlm exp/lm/rnnlm.model.best)
        feat_dir() {{ echo dump; }}
        keep_recogniser
        echo changed > conf/fbank.conf
        keep_recogniser -n
    """
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    from espnet.asr.bundle import read_bundle

    found = read_bundle(tmp_path / "exp" / "one" / "recogniser" / "recogniser.yaml")
    assert Path(found.fbank_config or "").read_text() == "conf/fbank.conf"
    assert Path(found.rnnlm or "").read_text() == "exp/lm/rnnlm.model.best"
    assert Path(found.model).read_text() == "exp/one/results/model.acc.best"
    assert found.do_delta and found.longest == 1200 and found.feats == "fbank_pitch"
    assert Path(found.preprocess_conf or "").read_text() == "conf/specaug.yaml"
    assert found.bpemodel and found.cmvn and found.decode_config and found.pitch_config
