"""asr_align.py: segments, words and tokens of recordings whose times are known."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tone_recogniser import (
    BINS,
    PAUSE,
    RATE,
    SECONDS,
    ctm,
    start_of,
    whistle,
    write_data,
    write_recogniser,
)

from espnet.asr.align_corpus import align_corpus, align_recording, worst_window
from espnet.asr.align_options import AlignOptions
from espnet.asr.bundle import read_bundle
from espnet.utils.errors import DataError, UserError

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, model: Path, text: str, **more: Any) -> list[list[str]]:
    (folder / "text").write_text(text)
    options = AlignOptions(
        data_json=str(folder / "data.json"),
        utt_text=str(folder / "text"),
        model=str(model),
        output=str(folder / "segments"),
        ctm=str(folder / "words.ctm"),
        token_ctm=str(folder / "tokens.ctm"),
        **more,
    )
    align_corpus(options)
    return [line.split() for line in (folder / "segments").read_text().splitlines()]


def test_every_segment_word_and_token_is_where_it_is_said(tmp_path: Path) -> None:
    model = write_data(tmp_path, {"r1": "ab ca bbc", "r10": "cab"})
    found = run(tmp_path, model, "r1_a ab\nr10_a cab\nr1_b ca, bbc\n")
    assert [line[:2] for line in found] == [
        ["r1_a", "r1"],
        ["r1_b", "r1"],
        ["r10_a", "r10"],
    ]
    places = {"r1_a": (0, 1), "r1_b": (3, 8), "r10_a": (0, 2)}
    for name, _, start, end, score in found:
        first, last = (start_of(place) for place in places[name])
        assert first - PAUSE - 0.5 <= float(start) <= first + 0.04
        assert last + SECONDS - 0.04 <= float(end) <= last + SECONDS + 0.5
        assert -0.2 < float(score) <= 0.0
    words = ctm(tmp_path / "words.ctm")
    assert [word[3] for word in words] == ["ab", "ca", "bbc", "cab"]
    tokens = ctm(tmp_path / "tokens.ctm")
    spoken = [token for token in tokens if token[3] != "<space>"]
    letters = [place for place, letter in enumerate("ab ca bbc") if letter != " "]
    assert [token[3] for token in spoken] == [*"abcabbc", *"cab"]
    for token, place in zip(spoken, [*letters, 0, 1, 2], strict=True):
        begin, end = token[1], token[1] + token[2]
        assert begin <= start_of(place) + SECONDS / 2 <= end
        assert token[4] > 0.9


def test_text_that_is_not_said_is_known_by_its_score(tmp_path: Path) -> None:
    model = write_data(tmp_path, {"r": "ab ca"})
    right = float(run(tmp_path, model, "r_1 ab ca\n")[0][4])
    wrong = float(run(tmp_path, model, "r_1 ba cb ac\n")[0][4])
    assert right > -0.2 and wrong < right - 0.5


def test_a_part_of_a_recording_or_all_of_it(tmp_path: Path) -> None:
    model = write_data(tmp_path, {"r": "aab acb"})
    (part,) = run(tmp_path, model, "r_1 acb\n")
    assert float(part[2]) >= start_of(4) - 0.54 and float(part[4]) > -0.2
    (word,) = ctm(tmp_path / "words.ctm")
    assert word[1] == pytest.approx(start_of(4), abs=0.25)
    assert word[1] + word[2] == pytest.approx(start_of(6) + SECONDS, abs=0.1)
    (whole,) = run(tmp_path, model, "r_1 aab acb\n", forced=True)
    assert float(whole[4]) > -0.2
    assert float(whole[3]) - float(whole[2]) > start_of(7) - 2 * PAUSE - 0.05


def test_recordings_are_read_in_pieces_with_the_same_times(tmp_path: Path) -> None:
    text = "abcacbbca" * 4
    model = write_data(tmp_path, {"r": text})
    lines = "".join(f"r_{n} {text[n * 9 : n * 9 + 9]}\n" for n in range(4))
    whole = run(tmp_path, model, lines, segment_seconds=1000)
    pieces = run(tmp_path, model, lines, segment_seconds=3, min_window_size=20)
    for a, b in zip(whole, pieces, strict=True):
        assert [float(x) for x in a[2:4]] == pytest.approx(
            [float(x) for x in b[2:4]], abs=0.05
        )


def test_text_that_does_not_fit_is_named_with_what_it_needs(tmp_path: Path) -> None:
    model = write_data(tmp_path, {"r": "ab", "s": "c"})
    with pytest.raises(DataError) as caught:
        run(tmp_path, model, f"r_1 {'ab' * 40}\nr_2 ab\ns_1 {'c' * 99}\n")
    first, second = str(caught.value).splitlines()
    assert "recording 'r': is too short for its text" in first
    assert "2 segments): that needs 82 encoder frames (1.64 s) or more" in first
    assert "there are 34 (0.68 s); remove what is not said" in first
    assert "recording 's'" in second
    assert not (tmp_path / "segments").exists()
    with pytest.raises(DataError, match="recording 's'.*needs 29 encoder frames"):
        run(tmp_path, model, f"s_1 {'c' * 15}\n")  # with blanks between equal letters


def test_lines_that_cannot_be_used_are_all_named(tmp_path: Path) -> None:
    model = write_data(tmp_path, {"r": "ab"})
    with pytest.raises(DataError) as caught:
        run(tmp_path, model, "x_1 ab\nr_1 XYZ\nr_2 a\n")
    first, second = str(caught.value).splitlines()
    assert "text:1: segment 'x_1' begins with the name of no recording" in first
    assert "text:2: segment 'r_1': no part of 'XYZ' is a token of the model" in second


@pytest.mark.parametrize(
    ("values", "score"),
    [([], -1e10), ([-1.0, -3.0], -2.0), ([-1.0, -5.0, -3.0, 0.0, 0.0], -3.0)],
)
def test_a_segment_is_as_good_as_its_worst_part(
    values: list[float], score: float
) -> None:
    assert worst_window(np.array(values), 3) == pytest.approx(score)


def test_a_file_without_lines(tmp_path: Path) -> None:
    model = write_data(tmp_path, {"r": "ab"})
    with pytest.raises(UserError, match="has no line of text; a line is '<segment> "):
        run(tmp_path, model, "\n")
    assert not (tmp_path / "segments").exists()


def test_without_ctc_it_is_said_what_to_do(tmp_path: Path) -> None:
    from espnet.nets.pytorch_backend.e2e_asr import E2E

    write_data(tmp_path, {"r": "ab"})
    tokens = ["<blank>", "<unk>", "a", "b", "<eos>"]
    options = {"etype": "blstmp", "elayers": 1, "eunits": 3, "eprojs": 3, "dunits": 3}
    options |= {"mtlalpha": 0.0, "char_list": tokens}
    import torch

    model = E2E.build(BINS, 5, **options)
    torch.save(model.state_dict(), tmp_path / "model.acc.best")
    (tmp_path / "model.json").write_text(json.dumps([BINS, 5, options]))
    with pytest.raises(UserError, match="has no CTC, which an alignment needs"):
        run(tmp_path, tmp_path / "model.acc.best", "r_1 ab\n")


def test_a_recording_that_the_encoder_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, xs: object) -> None:
        raise UserError("too few frames for the input layer")

    model = write_data(tmp_path, {"r": "ab"})
    monkeypatch.setattr("espnet.nets.asr_interface.ASRInterface.encode_list", refuse)
    with pytest.raises(UserError, match="recording 'r': too few frames for the input"):
        run(tmp_path, model, "r_1 ab\n")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"set_blank": 99}, "--set-blank: 99 must be below the number of tokens, "),
        (
            {"min_window_size": 2, "max_window_size": 2},
            "recording 'r': the best path leaves the window of 2 frames",
        ),
    ],
)
def test_values_that_do_not_fit_the_model_or_the_text(
    tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    model = write_data(tmp_path, {"r": "abcabcabc" + " " * 20 + "c"})
    with pytest.raises(UserError, match=words):
        run(tmp_path, model, "r_1 abcabcabcc\n", **given)


def test_frames_that_are_not_whole_milliseconds(tmp_path: Path) -> None:
    """Times are those of 12.5 ms, not of 12."""
    exp = write_recogniser(tmp_path / "tones")
    conf = exp / "recogniser" / "fbank.conf"
    conf.write_text(conf.read_text() + "\n--frame-shift=12.5\n")
    soundfile.write(tmp_path / "x.wav", whistle("ab" * 15), RATE)
    (tmp_path / "text").write_text("x_1 " + "ab" * 15 + "\n")
    options = AlignOptions(
        **{"data_json": "-", "output": "-", "model": "-"},
        utt_text=str(tmp_path / "text"),
    )
    bundle = read_bundle(exp / "recogniser" / "recogniser.yaml")
    options = replace(options, model=bundle.model)
    values = Namespace(**asdict(options))
    ((segment,), _) = align_recording(bundle, str(tmp_path / "x.wav"), values)
    last = segment.tokens[-1]
    assert last.start <= start_of(29) + SECONDS / 2 <= last.end


def call(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "espnet" / "bin" / "asr_align.py"), *args]
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'test'}", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder, env=path, capture_output=True, text=True, timeout=60
    )


def test_the_command(tmp_path: Path) -> None:
    model = write_data(tmp_path, {"r": "ab ca"})
    (tmp_path / "text").write_text("r_1 ab\nr_2 ca\n")
    config = "scoring-length: 5\ngratis-blank: 1\nbeam-size: 20\nscoring-size: 1\n"
    (tmp_path / "align.yaml").write_text(config)
    done = call(
        tmp_path,
        *("--config", "align.yaml", "--data-json", "data.json", "--utt-text", "text"),
        *("--model", str(model), "--output", "out/aligned_segments"),
    )
    assert done.returncode == 0, done.stderr
    assert "(1/1) Aligning r" in done.stderr
    assert "align.yaml: unknown key 'beam-size'; it is not used" in done.stderr
    assert "'scoring-size' (did you mean 'scoring-length'?); it is" in done.stderr
    lines = (tmp_path / "out" / "aligned_segments").read_text().splitlines()
    name, recording, start, end, score = lines[1].split()
    assert (name, recording) == ("r_2", "r")
    assert [len(x.partition(".")[2]) for x in (start, end, score)] == [2, 2, 9]
    wrong = call(tmp_path, "--model", "m", "--scoring-length", "0")
    assert wrong.returncode == 2 and "required" in wrong.stderr


def test_help_needs_no_torch() -> None:
    code = (
        "import sys\nfrom espnet.bin.asr_align import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
