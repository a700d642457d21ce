"""From audio to text: the Python API on recordings whose content is known."""

from __future__ import annotations

import logging
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tone_recogniser import PAUSE, RATE, SECONDS, start_of, whistle, write_recogniser

from espnet.asr import load
from espnet.asr.transcribe import Transcriber
from espnet.utils.errors import UserError

TEXT = "ab ca bbc"


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    return write_recogniser(tmp_path / "exp" / "tones")


@pytest.fixture
def recogniser(exp: Path) -> Transcriber:
    return load(exp)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate)
    return path


def test_import_is_cheap() -> None:
    code = "import sys, espnet.asr; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_text_tokens_times_and_confidence(
    recogniser: Transcriber, tmp_path: Path
) -> None:
    found = recogniser.transcribe(write(tmp_path / "x.wav", whistle(TEXT)))
    assert found.text == TEXT
    assert [t.text for t in found.tokens] == [c.replace(" ", "<space>") for c in TEXT]
    assert [w.text for w in found.words] == TEXT.split()
    for place, token in enumerate(found.tokens):
        middle = start_of(place) + SECONDS / 2
        assert token.start is not None and token.end is not None
        assert token.start <= middle <= token.end
        assert token.end - token.start <= SECONDS + 2 * PAUSE + 0.02
    assert found.words[1].start == found.tokens[3].start
    assert all(0.9 < w.confidence <= 1.0 for w in found.words)
    assert 0.9 < found.confidence <= 1.0
    assert found.seconds == pytest.approx(len(whistle(TEXT)) / RATE)
    assert found.cuts == []


@pytest.mark.parametrize("what", ["exp", "results", "model", "recogniser"])
def test_load_finds_an_experiment(exp: Path, tmp_path: Path, what: str) -> None:
    places = {"exp": exp, "model": exp / "results" / "model.acc.best"}
    place = places.get(what, exp / what)
    assert load(place).transcribe(whistle(TEXT), RATE).text == TEXT


@pytest.mark.parametrize("kind", ["float", "int16", "stereo", "44100", "file 16k"])
def test_any_kind_of_audio(recogniser: Transcriber, tmp_path: Path, kind: str) -> None:
    if kind == "file 16k":
        path = write(tmp_path / "x.flac", whistle(TEXT, 16000), 16000)
        assert recogniser.transcribe(path).text == TEXT
        return
    rate = 44100 if kind == "44100" else RATE
    samples = whistle(TEXT, rate)
    if kind == "int16":
        samples = (samples * 32768).astype(np.int16)
    if kind == "stereo":
        samples = np.stack([samples, np.zeros_like(samples)], 1)
    assert recogniser.transcribe(samples, rate).text == TEXT


def test_resampling_and_mixing_are_said_once(
    recogniser: Transcriber, caplog: pytest.LogCaptureFixture
) -> None:
    samples = np.stack([whistle("ab", 16000)] * 2, 1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            recogniser.transcribe(samples, 16000)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "has 2 channels; the mean is used" in said[0]
    assert "has 16000 Hz, the model 8000 Hz" in said[1]


def test_several_files_as_one_by_one(exp: Path, tmp_path: Path) -> None:
    texts = ["ab", "c", "abc cba abc", "b a", "cc"]
    files: list[str | Path] = [
        write(tmp_path / f"{n}.wav", whistle(text)) for n, text in enumerate(texts)
    ]
    together = load(exp, batchsize=3, nbest=3).transcribe(files)
    assert [found.text for found in together] == texts
    alone = load(exp, batchsize=1, nbest=3)
    for file, found in zip(files, together, strict=True):
        single = alone.transcribe(file)
        assert [a.tokens for a in single.nbest] == [a.tokens for a in found.nbest]
        scores = [a.score for a in found.nbest]
        assert [a.score for a in single.nbest] == pytest.approx(scores, abs=1e-4)
        assert len(scores) == 3 and scores == sorted(scores, reverse=True)


def test_long_recordings_are_cut_in_pauses_and_times_go_on(exp: Path) -> None:
    """A minute of speech; no piece has over 5 s, and nothing is lost at a cut."""
    text = "abcacbbca" * 20
    samples = whistle(text)
    recogniser = load(exp, segment_seconds=5)
    found = recogniser.transcribe(samples, RATE)
    assert found.text.replace(" ", "") == text  # words are taken to end at a cut
    assert len(found.cuts) >= len(samples) / RATE / 5 - 1
    edges = [0.0, *found.cuts, found.seconds]
    assert all(2.4 < b - a <= 5.0 for a, b in pairwise(edges))
    whole = load(exp, segment_seconds=0).transcribe(samples, RATE)
    assert whole.cuts == []
    letters = [token for token in found.tokens if token.text != "<space>"]
    for cut, uncut in zip(letters, whole.tokens, strict=True):
        assert cut.start == pytest.approx(uncut.start, abs=0.06)
    for cut in found.cuts:  # in a pause, not in a tone
        offset = (cut - PAUSE) % (SECONDS + PAUSE)
        assert offset > SECONDS - 0.02 or offset < 0.02


def test_the_longest_piece_is_that_of_training(tmp_path: Path) -> None:
    frames = {"longest": 900}
    assert load(write_recogniser(tmp_path / "a", **frames)).seconds == 9.0
    assert load(write_recogniser(tmp_path / "b", longest=10)).seconds == 5.0
    assert load(write_recogniser(tmp_path / "c", longest=10**6)).seconds == 30.0
    assert load(write_recogniser(tmp_path / "d")).seconds == 20.0


def test_options_win_over_the_decoding_config(exp: Path) -> None:
    recogniser = load(exp, nbest=2, beam_size=4)
    found = recogniser.transcribe(whistle("abc"), RATE)
    assert len(found.nbest) == 2 and found.nbest[0].text == found.text
    with pytest.raises(UserError, match=r"unknown option 'beam_sise'.*'beam_size'"):
        load(exp, beam_sise=3)
    with pytest.raises(UserError, match="streaming_mode: window: is for asr_recog"):
        load(exp, streaming_mode="window")
    with pytest.raises(UserError, match="--beam-size: 0 must be 1 or more"):
        load(exp, beam_size=0)
    config = exp / "recogniser" / "decode.yaml"
    config.write_text(config.read_text() + "segment-seconds: 2.5\n")
    assert load(exp).seconds == 2.5
    assert load(exp, segment_seconds=4.0).seconds == 4.0
    assert load(exp, segment_seconds=0.0).seconds == 0.0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("beam_size", "abc", "beam_size: 'abc' is not a whole number"),
        ("ctc_weight", "x", "ctc_weight: 'x' is not a number"),
        ("dtype", "foo", "dtype: 'foo' is none of float16, float32, float64"),
        ("api", "v3", "api: 'v3' is none of v1, v2"),
        ("do_delta", "maybe", "do_delta: 'maybe' is not True or False"),
        ("longest", "x", "longest: 'x' is not a whole number"),
        ("segment_seconds", np.inf, "--segment-seconds: inf must be .* finite"),
        ("decode_config", "none.yaml", "decode_config: none.yaml: no such file"),
    ],
)
def test_options_with_values_that_cannot_be_meant(
    exp: Path, name: str, value: object, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        load(exp, **{name: value})


def test_a_streaming_mode_of_the_decoding_config_is_for_another_command(
    exp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = exp / "recogniser" / "decode.yaml"
    config.write_text(config.read_text() + "streaming-mode: window\n")
    assert load(exp).transcribe(whistle(TEXT), RATE).text == TEXT
    assert "streaming_mode: is for asr_recog.py" in caplog.text


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "samples: holds no samples"),
        (np.zeros(50), "samples: has 50 samples, fewer than one frame of 25 ms"),
        (np.full(8000, np.nan), "samples: holds NaN or infinite samples"),
        (np.full(8000, 3000.0), "floats must lie between -1 and 1, .* 3000"),
        (np.full(8000, 2**20, np.int32), "integers must have 16 bits, .* 1.04858e"),
        (np.zeros(8000, np.uint8), "samples are of type uint8; give integers of 16"),
        (np.array(["a"]), "samples are of type <U1; give integers of 16 bits"),
        (np.zeros((2, 3, 4)), r"must be samples \(N,\) or \(N, channels\)"),
    ],
)
def test_samples_that_cannot_be_used(
    recogniser: Transcriber, samples: np.ndarray, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        recogniser.transcribe(samples, RATE)


def test_audio_that_cannot_be_used_is_named(
    recogniser: Transcriber, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="samples need their rate"):
        recogniser.transcribe(np.zeros(100))
    empty, bare, text = (tmp_path / name for name in ("e.wav", "b.wav", "t.wav"))
    empty.write_bytes(b"")
    write(bare, np.zeros(0))
    text.write_text("no audio")
    cut = write(tmp_path / "cut.wav", whistle("abc"))
    cut.write_bytes(cut.read_bytes()[:-2000])
    for path, message in (
        (empty, "is empty"),
        (bare, "holds no samples"),
        (text, "cannot be read as audio"),
        (cut, "is truncated"),
        (tmp_path / "none.wav", "No such file"),
    ):
        with pytest.raises(UserError, match=f"{path.name}: .*{message}"):
            recogniser.transcribe(path)


def test_experiments_that_do_not_say_enough(exp: Path, tmp_path: Path) -> None:
    listed = exp / "recogniser" / "recogniser.yaml"
    text = listed.read_text()
    listed.write_text(text.replace("fbank.conf", "none.conf"))
    with pytest.raises(UserError, match=r"fbank_config: .*none.conf: no such file"):
        load(exp)
    listed.write_text(text + "cmvm: x\n")
    with pytest.raises(UserError, match=r"unknown key 'cmvm' \(did you mean 'cmvn'"):
        load(exp)
    listed.write_text(text + "do_delta: 3\n")
    with pytest.raises(UserError, match="do_delta: 3 is not true or false"):
        load(exp)
    listed.unlink()
    with pytest.raises(UserError, match=r"has no recogniser/recogniser.yaml"):
        load(exp)
    with pytest.raises(UserError, match="no such file or folder; wanted is an exp"):
        load(tmp_path / "nowhere")
    model = exp / "results" / "model.acc.best"
    beside = exp / "recogniser"
    given = {"feats": "fbank", "fbank_config": beside / "fbank.conf"}
    found = load(model, cmvn=beside / "cmvn.ark", ctc_weight=1.0, **given)
    assert found.transcribe(whistle(TEXT), RATE).text == TEXT
    with pytest.raises(UserError, match="features have dimension 24, .* with 8"):
        load(model, cmvn=None, do_delta=True, **given).transcribe(whistle("a"), RATE)
