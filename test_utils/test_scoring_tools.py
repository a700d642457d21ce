"""Legacy scoring and timing commands: STM and CTM, JSON of reports, RTF, word lists."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Stdout = Callable[..., str]
Error = Callable[..., str]

TRN = "THE CAT (spk-rec_0000100-0000350)\nA DOG SAT ON (s2-sw1-B_000010-000050)\n"
REPORT = """id: (s1-u1)
Scores: (#C #S #D #I) {0}
REF:  a b
HYP:  a c
Eval:   S
id: (s2-u2)
Scores: (#C #S #D #I) {1}
REF:  d
HYP:  d
Eval:
"""


def test_trn_to_ctm_and_stm(tmp_path: Path, stdout_of: Stdout, run: Run) -> None:
    (tmp_path / "a.trn").write_text(TRN)
    (tmp_path / "old.stm").write_text(";; LABEL\nrec 1 spk 0 1 x\n")
    stdout_of("trn2ctm.py", "a.trn", "a.ctm")
    assert (tmp_path / "a.ctm").read_text().splitlines() == [
        "rec 1 1.00 1.25 THE",
        "rec 1 2.25 1.25 CAT",
        "sw1 B 0.10 0.10 A",
        "sw1 B 0.20 0.10 DOG",
        "sw1 B 0.30 0.10 SAT",
        "sw1 B 0.40 0.10 ON",
    ]
    stdout_of("trn2stm.py", "--orig-stm", "old.stm", "a.trn", "a.stm")
    assert (tmp_path / "a.stm").read_text().splitlines() == [
        ";; LABEL",
        "rec 1 spk 1.00 3.50 THE CAT",
        "sw1 B s2 0.10 0.50 A DOG SAT ON",
    ]
    (tmp_path / "b.trn").write_text("X (s-notimes)\n")
    done = run("trn2ctm.py", "b.trn", "b.ctm")
    assert done.returncode == 1 and not (tmp_path / "b.ctm").exists()
    assert "b.trn:1: id 'notimes' does not end in -<start>-<end>" in done.stderr


def test_json_to_sctm(tmp_path: Path, stdout_of: Stdout) -> None:
    output = {"token": "A <space> B", "rec_tokenid": "3 2 3 5"}
    utts = {"r_0100-0200": {"utt2spk": "s", "output": [output]}}
    (tmp_path / "r.json").write_text(json.dumps({"utts": utts}))
    (tmp_path / "dict").write_text("<unk> 1\n<space> 2\nA 3\nB 4\n")
    files = ["--stm", "o.stm", "--ctm", "o.ctm", "--hyps", "h.trn"]
    stdout_of("json2sctm.py", "r.json", "dict", *files)
    assert (tmp_path / "o.stm").read_text() == "r 1 s 1.00 2.00 A B\n"
    assert (tmp_path / "o.ctm").read_text() == "r 1 1.00 0.50 A\nr 1 1.50 0.50 A\n"
    assert (tmp_path / "h.trn").read_text() == "A A (s-r_0100-0200)\n"


def test_reports_become_json_and_the_best_assignment_counts(
    tmp_path: Path, stdout_of: Stdout, run: Run
) -> None:
    text = REPORT.format("1 1 0 0", "1 0 0 0")
    utts = json.loads(stdout_of("result2json.py", "--key", "x_r1h2.txt", stdin=text))
    assert utts["utts"]["s1-u1"]["r1h2"] == {
        "Scores": "(#C #S #D #I) 1 1 0 0",
        "REF": "a b",
        "HYP": "a c",
        "Eval": "S",
    }
    scores = ["9 2 1 1", "8 0 2 0", "9 0 1 0", "7 5 0 0"]  # r1h1 r1h2 r2h1 r2h2
    for pair, score in zip(("r1h1", "r1h2", "r2h1", "r2h2"), scores, strict=True):
        (tmp_path / pair).write_text(REPORT.format(score, "1 0 0 0"))
    printed = stdout_of("eval_perm_free_error.py", "r1h1", "r1h2", "r2h1", "r2h2")
    # u1: r1h2 and r2h1 have 2 + 1 errors, against 4 + 5
    assert "Total Scores: (#C #S #D #I) 19 0 3 0\n" in printed
    assert f"Error Rate:   {300 / 22:.2f}\nTotal Utts:  2\n" in printed
    done = run("eval_perm_free_error.py", "r1h1", "r1h2")
    assert done.returncode == 1 and "--num-spkrs 2 needs 4 reports, got 2" in (
        done.stderr
    )
    done = run("result2json.py", "--key", "x", stdin=text)
    assert done.returncode == 1 and "'x' must contain rXhY" in done.stderr


LOG = """2026-01-02 10:00:00,000 (recog:1) INFO: (1/2) decoding a
2026-01-02 10:00:01,000 (recog:1) INFO: input lengths: 100
2026-01-02 10:00:03,500 (recog:1) INFO: prediction : X
2026-01-02 10:00:02,500 (recog:1) INFO: input lengths: 300
2026-01-02 10:00:05,000 (recog:1) INFO: prediction : Y
"""


def test_real_time_factor(tmp_path: Path, stdout_of: Stdout, run: Run) -> None:
    (tmp_path / "decode.1.log").write_text(LOG)
    (tmp_path / "decode.2.log").write_text(LOG)
    printed = stdout_of("calculate_rtf.py", "--log-dir", ".", "--input-shift", 40)
    assert printed.splitlines() == [
        "Total audio duration: 32.000 [sec]",  # 2 x 400 frames of 40 ms
        "Total decoding time: 8.000 [sec]",  # 10:00:01 to 10:00:05, twice
        "RTF: 0.250",
        "Latency: 2000.000 [ms/sentence]",
    ]
    for n in (1, 2):  # of this toolkit: frames of the features, before encoding
        frames = LOG.replace("input lengths", "speech length")
        (tmp_path / f"decode.{n}.log").write_text(frames)
    printed = stdout_of("calculate_rtf.py", "--log-dir", ".")
    assert "RTF: 1.000" in printed  # the same 8 s for 8 s of audio
    (tmp_path / "decode.1.log").write_text(LOG)
    (tmp_path / "decode.2.log").write_text(LOG.replace("prediction : Y", "stopped"))
    done = run("calculate_rtf.py", "--log-dir", ".")
    assert done.returncode == 1 and "2 lines with 'input lengths' and 1" in done.stderr
    for n in (1, 2):
        (tmp_path / f"decode.{n}.log").write_text("# Started\n")
    done = run("calculate_rtf.py", "--log-dir", ".")
    assert done.returncode == 1 and "are written with --verbose 1" in done.stderr
    done = run("calculate_rtf.py", "--log-dir", "none")
    assert done.returncode == 1 and "none: has no decode.*.log" in done.stderr


@pytest.mark.parametrize(
    "options, expected", [([], "a <UNK> c\n<UNK>\n"), (["-v"], "b\nd\n")]
)
def test_word_filter(
    tmp_path: Path, stdout_of: Stdout, options: list[str], expected: str
) -> None:
    (tmp_path / "words").write_text("a\nc\n")
    assert stdout_of("filt.py", *options, "words", "-", stdin="a b c\nd\n") == expected


def test_references_of_several_files(tmp_path: Path, stdout_of: Stdout) -> None:
    for name, utts in (("a", {"u1": {}, "u2": {}}), ("b", {"u1": {"x": 1}, "u3": {}})):
        (tmp_path / f"{name}.json").write_text(json.dumps({"utts": utts}))
    united = json.loads(stdout_of("concat_json_multiref.py", "a.json", "b.json"))
    assert united["utts"] == {"u1": {}, "u1.1": {"x": 1}, "u2": {}, "u3": {}}


def test_update_json_adds_an_output(tmp_path: Path, stdout_of: Stdout) -> None:
    utts = {
        "u1": {"input": [{"name": "input1"}], "output": [{"name": "target1"}]},
        "u2": {"input": [], "output": []},
    }
    (tmp_path / "d.json").write_text(json.dumps({"utts": utts}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/text").write_text("u1 AB C\nu9 A\n")
    (tmp_path / "dict").write_text("<unk> 1\n<space> 2\nA 3\nB 4\n")
    stdout_of("update_json.sh", "d.json", "data", "dict")
    updated = json.loads((tmp_path / "d.json").read_text())["utts"]
    assert list(updated) == ["u1"]
    assert updated["u1"]["output"][1] == {
        "name": "target2",
        "shape": [4, 6],
        "text": "AB C",
        "token": "A B <space> C",
        "tokenid": "3 4 2 1",
    }
    backup = json.loads((tmp_path / ".backup/d.json").read_text())
    assert backup == {"utts": utts}


def test_texts_without_dictionary(tmp_path: Path, stdout_of: Stdout) -> None:
    output = {"text": "A B", "rec_text": "A C<eos>"}
    utts = {"s-u": {"output": [output]}}
    (tmp_path / "r.json").write_text(json.dumps({"utts": utts}))
    stdout_of("json2trn_wo_dict.py", "r.json", "--refs", "ref", "--hyps", "hyp")
    assert (tmp_path / "ref").read_text() == "A B (s_u)\n"
    assert (tmp_path / "hyp").read_text() == "A C (s_u)\n"
