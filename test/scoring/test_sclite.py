"""The report has sclite's layout; where sclite is installed, sclite is asked."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from espnet.scoring.sclite import Utterance, report, score, summary

REPORT = """


                     SYSTEM SUMMARY PERCENTAGES by SPEAKER                      

       ,----------------------------------------------------------------.
       |                            hyp.trn                             |
       |----------------------------------------------------------------|
       | SPKR   | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |
       |--------+-------------+-----------------------------------------|
       | s01    |    2     11 | 81.8    9.1    9.1    9.1   27.3   50.0 |
       |--------+-------------+-----------------------------------------|
       | s02    |    1      5 |  0.0    0.0  100.0    0.0  100.0  100.0 |
       |================================================================|
       | Sum/Avg|    3     16 | 56.3    6.3   37.5    6.3   50.0   66.7 |
       |================================================================|
       |  Mean  |  1.5    8.0 | 40.9    4.5   54.5    4.5   63.6   75.0 |
       |  S.D.  |  0.7    4.2 | 57.9    6.4   64.3    6.4   51.4   35.4 |
       | Median |  1.5    8.0 | 40.9    4.5   54.5    4.5   63.6   75.0 |
       `----------------------------------------------------------------'



                     SYSTEM SUMMARY PERCENTAGES by SPEAKER                      

        ,--------------------------------------------------------------.
        |                           hyp.trn                            |
        |--------------------------------------------------------------|
        | SPKR | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |
        |------+-------------+-----------------------------------------|
        | s01  |    2     11 |    9      1      1      1      3      1 |
        |------+-------------+-----------------------------------------|
        | s02  |    1      5 |    0      0      5      0      5      1 |
        |==============================================================|
        | Sum  |    3     16 |    9      1      6      1      8      2 |
        |==============================================================|
        | Mean |  1.5    8.0 |  4.5    0.5    3.0    0.5    4.0    1.0 |
        | S.D. |  0.7    4.2 |  6.4    0.7    2.8    0.7    1.4    0.0 |
        |Median|  1.5    8.0 |  4.5    0.5    3.0    0.5    4.0    1.0 |
        `--------------------------------------------------------------'


\t\tDUMP OF SYSTEM ALIGNMENT STRUCTURE

System name:   hyp.trn

Speakers: 
    0:  s01
    1:  s02

Speaker sentences   0:  s01   #utts: 2
id: (s01-s01_a)
Scores: (#C #S #D #I) 6 1 1 1
REF:  g O o d <space> d A y * 
HYP:  g * o d <space> d E y E 
Eval:   D               S   I 

id: (s01-s01_b)
Scores: (#C #S #D #I) 3 0 0 0
REF:  a b c 
HYP:  a b c 
Eval:       

Speaker sentences   1:  s02   #utts: 1
id: (s02-s02_a)
Scores: (#C #S #D #I) 0 0 5 0
REF:  H E L L O 
HYP:  * * * * * 
Eval: D D D D D 


"""  # noqa: W291 (sclite ends lines so)

Corpus = list[tuple[str, list[str], list[str]]]


def scored(corpus: Corpus) -> list[Utterance]:
    return [score(*utterance) for utterance in corpus]


def test_layout_is_that_of_sclite() -> None:
    corpus = [
        ("s01-s01_a", [*"GOOD", "<space>", *"DAY"], [*"GOD", "<space>", *"DEYE"]),
        ("s01-s01_b", list("ABC"), list("abc")),
        ("s02-s02_a", list("hello"), []),
    ]
    assert report(scored(corpus), "hyp.trn") == REPORT


def test_summary_is_the_first_heading_and_sum() -> None:
    assert summary(REPORT) == [
        "| SPKR   | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |",
        "| Sum/Avg|    3     16 | 56.3    6.3   37.5    6.3   50.0   66.7 |",
    ]


def test_wide_characters_line_up_on_a_terminal() -> None:
    text = report(scored([("s-a", ["你", "好", "a"], ["好", "b"])]), "hyp.trn")
    lines = text.split("id: (s-a)\n")[1].splitlines()
    assert lines[1:4] == ["REF:  你 好 A ", "HYP:  ** 好 B ", "Eval: D     S "]


def test_a_speaker_without_reference_words_is_marked_and_left_out_of_the_mean() -> None:
    text = report(scored([("s-a", [], ["b"]), ("t-a", ["a"], ["a"])]), "hyp.trn")
    assert "| s      |    1      0 |    0*     0*     0*     1*     1* 100.0 |" in text
    assert "|  Mean  |  1.0    0.5 |100.0+   0.0+   0.0+   0.0+   0.0+  50.0 |" in text
    assert "* speaker without reference words" in text


def test_a_long_title_widens_the_first_column() -> None:
    title = "exp/" + "long/" * 20 + "hyp.trn"
    lines = report(scored([("s-a", ["a"], ["a"])]), title).splitlines()
    table = [line for line in lines if line.startswith(("|", ",", "`"))][:11]
    assert {len(line) for line in table} == {len(title) + 2}
    assert table[1] == f"|{title}|"


def random_corpus(draw: random.Random) -> Corpus:
    """Utterances of a few speakers; some empty, some with lines that must be broken."""
    speakers = ["s" * draw.randint(1, 30) + str(k) for k in range(draw.randint(1, 5))]
    tokens = draw.choice([["a", "b", "c"], ["foo", "Bar", "x", "quux"]])
    corpus = []
    for k in range(draw.randint(1, 25)):
        ref = draw.choices(tokens, k=draw.randint(0, draw.choice([1, 5, 10, 30, 500])))
        hyp = [draw.choice([t, t, draw.choice(tokens)]) for t in ref]
        hyp = [t for t in hyp if draw.random() > 0.1]
        hyp += draw.choices(tokens, k=draw.choice([0, 0, 1, 4, 400]))
        corpus.append((f"{draw.choice(speakers)}-u{k}", ref, hyp))
    return corpus


@pytest.fixture(scope="module")
def sclite() -> list[str]:
    """The command, by its own name or through Debian's package sctk."""
    for command in (["sclite"], ["sctk", "sclite"]):
        if shutil.which(command[0]):
            return command
    pytest.skip("sclite is not installed (Debian: apt-get install sctk)")


def comparable(text: str) -> str:
    """The report less what concerns speakers without reference words.

    The notes on them have our own words, and sclite's means over the others are wrong.
    """
    notes = r"\* No |  rather|# No|\* speaker|\+ |.*\d\+ "
    return re.sub(rf"(?m)^({notes}).*\n", "", text)


def test_reports_equal_those_of_sclite(sclite: list[str], tmp_path: Path) -> None:
    draw = random.Random(3)
    for _ in range(20):
        corpus = random_corpus(draw)
        for name, side in (("ref.trn", 1), ("hyp.trn", 2)):
            lines = [f"{' '.join(row[side])} ({row[0]})\n" for row in corpus]
            (tmp_path / name).write_text("".join(lines))
        files = ["-r", "ref.trn", "trn", "-h", "hyp.trn", "trn"]
        command = [*sclite, *files, "-i", "rm", "-o", "all", "stdout"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        ours = report(scored(corpus), "hyp.trn")
        assert comparable(ours) == comparable(done.stdout)
