"""Recognition of live audio: CTC's best path by pieces, models, latency, messages."""

from __future__ import annotations

import io
import itertools
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from espnet.asr.stream import GreedyCTC, LiveRecognizer, Said, Watch, stream
from espnet.asr.stream_audio import Piece
from espnet.asr.stream_options import StreamOptions
from espnet.asr.transcribe import Transcriber, load
from espnet.data.ark import write_global
from espnet.data.cmvn import cmvn_stats
from espnet.nets.asr_interface import ASRInterface
from espnet.nets.pytorch_backend.e2e_asr import E2E as RNN
from espnet.nets.pytorch_backend.e2e_asr_conformer import E2E as Conformer
from espnet.nets.pytorch_backend.e2e_asr_transducer import E2E as Transducer
from espnet.utils.errors import UserError

RATE, BINS = 8000, 8
TOKENS = ["<blank>", "<unk>", "<space>", "A", "B", "<eos>"]
SMALL = {"eunits": 6, "eprojs": 6, "dunits": 4, "adim": 4, "dlayers": 1, "aheads": 2}


def write_model(folder: Path, family: type[ASRInterface], **options: Any) -> Path:
    """A model of random numbers that takes filter banks, and says how to make them."""
    torch.manual_seed(6)
    options = {**SMALL, "elayers": 2, **options}
    model = family.build(BINS, len(TOKENS), **options)
    for name, value in model.named_parameters():
        if name == "ctc.ctc_lo.bias":
            torch.nn.init.zeros_(value)
        elif "norm" not in name:
            torch.nn.init.normal_(value)
    stored = {**options, "model_module": f"{family.__module__}:E2E"}
    stored["char_list"] = TOKENS
    content = json.dumps([BINS, len(TOKENS), stored])
    (folder / "model.json").write_text(content)
    torch.save(model.state_dict(), folder / "model.acc.best")
    conf = f"--sample-frequency={RATE}\n--num-mel-bins={BINS}\n"
    (folder / "fbank.conf").write_text(conf)
    feats = np.random.default_rng(0).normal(8.0, 3.0, (100, BINS))
    write_global(str(folder / "cmvn.ark"), cmvn_stats(feats))
    return folder / "model.acc.best"


def about(folder: Path) -> dict[str, Any]:
    return {
        "feats": "fbank",
        "fbank_config": str(folder / "fbank.conf"),
        "cmvn": str(folder / "cmvn.ark"),
    }


def sound(seconds: float) -> np.ndarray:
    """Bursts of tones with pauses, as 16-bit integers."""
    random = np.random.default_rng(3)
    time = np.arange(int(seconds * RATE)) / RATE
    pitches = np.repeat(random.uniform(100, 3000, 40), RATE // 5)[: len(time)]
    loud = np.repeat(random.integers(0, 2, 40), RATE // 5)[: len(time)]
    x = 3000 * loud * np.sin(2 * np.pi * np.cumsum(pitches) / RATE)
    return (x + 20 * random.standard_normal(len(x))).astype(np.int16)


def whole(transcriber: Transcriber, samples: np.ndarray) -> list[str]:
    """The tokens of CTC's best path over the whole recording."""
    model = transcriber.recognizer.model
    with torch.no_grad():
        hs = model.encode(transcriber.front_end(samples.astype(np.float32)))
        log_probs = model.ctc_log_probs(hs[None])
    assert log_probs is not None
    path = log_probs[0].argmax(-1).tolist()
    return [TOKENS[label] for label, _ in itertools.groupby(path) if label]


def heard(live: LiveRecognizer, samples: np.ndarray, size: int) -> list[str]:
    """The tokens of all final results."""
    said = []
    for start in range(0, len(samples), size):
        piece = samples[start : start + size].astype(np.float32)
        said += list(live.feed(piece, start + size >= len(samples)))
    assert all(one.tokens and one.start < one.end for one in said)
    return [token for one in said if one.final for token in one.tokens]


@pytest.mark.parametrize("size", [400, 801, 10**6])
@pytest.mark.parametrize("etype", ["lstmp", "vgggru"])
def test_encoders_that_look_back_give_what_they_give_for_the_whole(
    tmp_path: Path, etype: str, size: int
) -> None:
    path = write_model(tmp_path, RNN, etype=etype, subsample="1_2_2")
    transcriber = load(path, **about(tmp_path))
    samples = sound(4.0)
    live = LiveRecognizer(transcriber, StreamOptions(model="m"))
    expected = whole(transcriber, samples)
    assert len(set(expected)) > 1
    assert heard(live, samples, size) == expected
    assert live.lookahead == pytest.approx(0.025 + (0.11 if etype == "vgggru" else 0))


@pytest.mark.parametrize(
    ("family", "options"),
    [
        (RNN, {"etype": "blstmp"}),
        (Transducer, {"etype": "blstmp", "use_ctc_loss": True}),
        (Conformer, {"macaron_style": True, "use_cnn_module": True}),
    ],
)
def test_other_encoders_see_blocks(
    tmp_path: Path, family: type[ASRInterface], options: dict[str, Any]
) -> None:
    """With context over all the recording they give what they give for the whole."""
    path = write_model(tmp_path, family, **options)
    transcriber = load(path, **about(tmp_path))
    samples = sound(3.0)
    sizes = {"block": 0.4, "left_context": 9.0, "right_context": 9.0}
    live = LiveRecognizer(transcriber, StreamOptions(model="m", **sizes))
    assert heard(live, samples, 800) == whole(transcriber, samples)
    live = LiveRecognizer(transcriber, StreamOptions(model="m"))
    assert heard(live, samples, 800)
    assert 0.32 + 0.48 <= live.lookahead < 0.32 + 0.48 + 0.1


@pytest.mark.parametrize(
    ("path", "finals"),
    [
        ("--AA-A BB--", [("AA B", 2, 9)]),
        ("A---B", [("A", 0, 1), ("B", 4, 5)]),
        ("A--B----", [("AB", 0, 4)]),
        ("AAA---AAA", [("A", 0, 3), ("A", 6, 9)]),
        ("-----", []),
        ("", []),
    ],
)
def test_best_path_by_pieces(path: str, finals: list[tuple[str, int, int]]) -> None:
    """Final results do not depend on the cuts; each partial one begins the next."""
    labels = ["-? AB".index(letter) for letter in path]
    names = ["-", "?", " ", "A", "B", "#"]
    for size in (1, 2, 4, 20):
        ctc = GreedyCTC(names, pause=3)
        said: list[Said] = []
        for start in range(0, max(1, len(labels)), size):
            last = start + size >= len(labels)
            said += list(ctc.feed(labels[start : start + size], last))
        found = [("".join(s.tokens), s.start, s.end) for s in said if s.final]
        assert found == finals
        for before, after in itertools.pairwise(said):
            if not before.final:
                assert after.tokens[: len(before.tokens)] == before.tokens
                assert after.start == before.start


def test_lines_and_latency(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write_model(tmp_path, RNN, etype="lstm")
    caplog.set_level(logging.INFO)
    options = StreamOptions(model=str(path), **about(tmp_path), end_silence=0.2)
    stream(options, io.BytesIO(sound(3.0).tobytes()))
    lines = [line.split(None, 3) for line in capsys.readouterr().out.splitlines()]
    assert {kind for kind, *_ in lines} == {"partial", "final"}
    assert lines[-1][0] == "final"
    for before, after in itertools.pairwise(lines):
        assert float(before[1]) <= float(after[1]) < float(after[2]) <= 3.0
        assert before[0] == "final" or before[3] != after[3] or after[0] == "final"
    assert "3.00 s of audio, real-time factor" in caplog.text
    assert f"latency of {len(lines)} lines" in caplog.text
    assert "only looks back" in caplog.text


def test_watch_measures_from_arrival_to_print(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    times = iter([10.0, 10.02, 10.03, 20.0, 20.3, 20.4, 30.0, 30.1])
    watch = Watch(clock=lambda: next(times))
    for arrived, prints in ((9.99, 1), (20.0, 1), (30.0, 0)):
        piece = Piece(np.zeros(100, np.float32), arrived, False)
        watch.begin(piece)
        for _ in range(prints):
            watch.printed(piece)
        watch.end(piece)
    watch.report(100, 0.5, 0.6)
    assert "3.00 s of audio, real-time factor 0.177" in caplog.text
    assert "of 2 lines" in caplog.text
    assert "median 165 ms, at most 300 ms" in caplog.text
    assert "up to 0.50 s" in caplog.text
    Watch().report(100, 0.5, 0.6)
    assert "nothing was said" in caplog.text


def test_messages(tmp_path: Path) -> None:
    path = write_model(tmp_path, RNN, etype="lstm", mtlalpha=0.0)
    audio = io.BytesIO(sound(1.0).tobytes())
    with pytest.raises(UserError, match="has no CTC, which this command needs"):
        stream(StreamOptions(model=str(path), **about(tmp_path)), audio)
    other = write_model(tmp_path, Transducer, etype="blstmp")
    with pytest.raises(UserError, match="with use-ctc-loss true"):
        stream(StreamOptions(model=str(other), **about(tmp_path)), audio)
    with pytest.raises(UserError, match="recogniser.yaml, which says how its features"):
        stream(StreamOptions(model=str(path)), audio)
    write_model(tmp_path, RNN, etype="lstm")
    (tmp_path / "fbank.conf").write_text("--sample-frequency=8000\n--num-mel-bins=9\n")
    wrong = {**about(tmp_path)}
    with pytest.raises(UserError, match="dimension"):
        stream(StreamOptions(model=str(path), **wrong), audio)
    with pytest.raises(UserError, match="holds no samples"):
        stream(StreamOptions(model=str(path), **about(tmp_path)), io.BytesIO())


def test_language_models_are_not_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The best path has no use for them; nor for a streaming mode of asr_recog.py."""
    path = write_model(tmp_path, RNN, etype="lstm")
    (tmp_path / "decode.yaml").write_text("ngram-model: none\nquantize-lm-model: 0\n")
    listed = {**about(tmp_path), "model": str(path), "rnnlm": __file__}
    listed["decode_config"] = str(tmp_path / "decode.yaml")
    (tmp_path / "recogniser.yaml").write_text(json.dumps(listed))
    caplog.set_level(logging.INFO)
    stream(StreamOptions(model=str(path)), io.BytesIO(sound(1.0).tobytes()))
    assert "1.00 s of audio" in caplog.text


def test_a_terminal_is_no_microphone(tmp_path: Path) -> None:
    main, terminal = os.openpty()
    with os.fdopen(terminal, "rb") as source, pytest.raises(UserError, match="arecord"):
        stream(StreamOptions(model="m"), source)
    os.close(main)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fs": -1}, "--fs: -1 must be a sampling rate"),
        ({"block": 0.0}, "--block: 0.0 must be above 0"),
        ({"left_context": -1.0}, "--left-context: -1.0 must not be below 0"),
        ({"right_context": -1.0}, "--right-context: -1.0 must not be below 0"),
        ({"end_silence": 0.0}, "--end-silence: 0.0 must be above 0"),
        ({"block": float("inf")}, "--block: inf must be above 0, and finite"),
        ({"right_context": float("inf")}, "--right-context: inf must not be .*infin"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        StreamOptions(model="m", **options).check()
