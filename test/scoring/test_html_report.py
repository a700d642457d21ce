"""The page about a decoding, read by an HTML parser."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from espnet.scoring.breakdown import by_length, by_speaker, confusions, length_class
from espnet.scoring.html_report import ReportOptions, html_report
from espnet.scoring.sclite import score
from espnet.scoring.score import ScoreOptions, score_directory
from espnet.utils.errors import UserError

RATE = 8000
TOKENS = ["<unk>", "<space>", "&", '"', "<b>", *"abcdefgh"]
# utterance: reference, n-best lists; one token a word
TEXTS = {
    "spk-1-utt1": ("a b c", ["a b c"]),
    "spk-1-utt2": ("a b <b> &", ["a d <b> &", "a <b> &"]),  # one substitution
    "spk2-utt3": ("a b c d e f", ["a c d e f g"]),  # a deletion and an insertion
    "spk2-utt4": ("<unk>", ['"']),
    "spk3-utt5": ("", ["a"]),
}
SPEAKERS = {"spk-1-utt1": "spk-1", "spk-1-utt2": "spk-1", "spk2-utt3": "spk2"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """The elements of a name inside, in order."""
        found = []
        for child in self.children:
            same = attributes.items() <= child.attributes.items()
            found += [child] if child.name == name and same else []
            found += child.all(name, **attributes)
        return found

    def words(self) -> str:
        return re.sub(r"\s+", " ", self.text).strip()


class Tree(HTMLParser):
    """Builds the tree, and insists that each element is closed where it should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root], "elements that are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        element = Element(tag, {k: v or "" for k, v in attrs})
        self.open[-1].children.append(element)
        if tag != "meta":
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def tokens(text: str) -> list[str]:
    return " <space> ".join(text.split()).split()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A directory that was decoded and scored."""
    folder = tmp_path / "decode_test"
    (folder / "log").mkdir(parents=True)
    (tmp_path / "units.txt").write_text(
        "".join(f"{token} {i}\n" for i, token in enumerate(TOKENS, 1))
    )
    utts: dict[str, Any] = {}
    for utt, (ref, nbest) in TEXTS.items():
        outputs = []
        for n, hyp in enumerate(nbest, 1):
            ids = [TOKENS.index(t) + 1 for t in tokens(hyp)] + [len(TOKENS) + 1]
            outputs.append(
                {
                    "name": f"target1[{n}]",
                    "token": " ".join(tokens(ref)),
                    "text": ref,
                    "rec_text": hyp + "<eos>",
                    "rec_token": " ".join([*tokens(hyp), "<eos>"]),
                    "rec_tokenid": " ".join(map(str, ids)),
                    "score": -1.5 * n,
                }
            )
        utts[utt] = {"output": outputs, "utt2spk": SPEAKERS.get(utt, "spk3")}
    (folder / "data.1.json").write_text(json.dumps({"utts": utts}))
    log = "INFO: {0}/{0} utterances done in 0:00:02, real-time factor {1} (...), left\n"
    (folder / "log" / "decode.1.log").write_text("x\n" + log.format(3, "0.100"))
    (folder / "log" / "decode.2.log").write_text(log.format(1, "0.300"))
    score_directory(folder, tmp_path / "units.txt", ScoreOptions(wer=True))
    return folder


def make_audio(folder: Path) -> dict[str, np.ndarray]:
    """A data directory with one recording, stereo, that is cut into utterances."""
    folder.mkdir()
    random = np.random.default_rng(0)
    samples = random.integers(-5000, 5000, (RATE, 2)).astype(np.int16)
    soundfile.write(folder / "all.wav", samples, RATE)
    (folder / "wav.scp").write_text(f"all {folder / 'all.wav'}\n")
    lines, cut = [], {}
    for i, utt in enumerate(TEXTS):
        lines.append(f"{utt} all {i / 10} {(i + 1) / 10}\n")
        part = samples[i * RATE // 10 : (i + 1) * RATE // 10]
        cut[utt] = np.rint(part.astype(np.float64).mean(1))
    (folder / "segments").write_text("".join(lines))
    return cut


def read(folder: Path, **options: Any) -> Element:
    text = html_report(folder, ReportOptions(**options))
    assert text.startswith("<!doctype html>")
    return Tree(text).root


def cells(table: Element) -> list[list[str]]:
    rows = table.all("tbody")[0].all("tr")
    return [[c.words() for c in row.children] for row in rows]


def tables(page: Element) -> dict[str, list[list[str]]]:
    return {t.all("caption")[0].words(): cells(t) for t in page.all("table")}


def test_numbers_are_those_of_the_score(results: Path) -> None:
    page = read(results)
    found = tables(page)
    report = (results / "result.wrd.txt").read_text()
    sums = re.findall(r"\| Sum/Avg\s*\|(.*)\|(.*)\|", report)[0]
    utterances, words = sums[0].split()
    assert found["All words"] == [["All", utterances, words, *sums[1].split()]]
    rows = {r[0].strip(): r for r in found["By speaker"]}
    for name, row in rows.items():
        line = re.findall(rf"\| {name}\s*\|(.*)\|(.*)\|", report)[0]
        if "*" not in line[1]:
            assert row[1:] == [*line[0].split(), *line[1].split()]
    assert "Word error rate 35.7 %" in page.text  # 5 errors, 14 words
    assert "Real-time factor of decoding 0.150 in each of 2 jobs" in page.text


def test_errors_are_marked(results: Path) -> None:
    """As often as they were counted, and with more than a colour."""
    page = read(results)
    names = [a.all("h3")[0].text.split()[0] for a in page.all("article")]
    assert sorted(names) == sorted(TEXTS)
    marks = Counter(
        kind
        for article in page.all("article")
        for name, kind in (("span", "s"), ("del", "d"), ("ins", "i"))
        for _ in article.all(name, **{"class": kind})
    )
    assert marks == {"s": 2, "d": 1, "i": 2}
    [changed] = [a for a in page.all("article") if "spk-1-utt2" in a.text]
    assert [c.text for c in changed.all("span")[0].children] == ["b", "d"]
    assert "<b> &" in changed.all("p")[0].words()
    [right] = page.all("details")[-1].all("article")
    assert "spk-1-utt1" in right.text and "0 errors" in right.text


def test_confusions_by_number(results: Path) -> None:
    found = tables(read(results))
    assert found["Substitutions (2 kinds)"] == [["<unk>", '"', "1"], ["b", "d", "1"]]
    assert found["Deletions (1 kinds)"] == [["b", "1"]]
    assert found["Insertions (2 kinds)"] == [["a", "1"], ["g", "1"]]
    assert len(tables(read(results, pairs=1))["Insertions (2 kinds)"]) == 1
    lengths = {row[0]: row[1:3] for row in found["By words of the reference"]}
    assert lengths == {
        "0": ["1", "0"],
        "1-2": ["1", "1"],
        "3-5": ["2", "7"],
        "6-10": ["1", "6"],
    }


def test_nbest_lists(results: Path) -> None:
    lists = read(results).all("ol")
    assert [[i.text for i in one.all("li")] for one in lists] == [
        ["a d <b> & (-1.50)", "a <b> & (-3.00)"]
    ]


def test_audio_is_inside(results: Path, tmp_path: Path) -> None:
    """The samples themselves, and nothing from elsewhere."""
    samples = make_audio(tmp_path / "data")
    page = read(results, data=str(tmp_path / "data"))
    assert len(page.all("audio")) == len(TEXTS)
    for article in page.all("article"):
        [player] = article.all("audio")
        utt = player.attributes["aria-label"].removeprefix("recording ")
        kind, data = player.attributes["src"].split(",")
        assert kind == "data:audio/flac;base64" and utt in article.text
        found, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="int16")
        assert rate == RATE
        assert np.abs(found - samples[utt]).max() <= 1
    assert "Audio of 5 of 5 utterances" in page.text


def test_nothing_comes_from_elsewhere(results: Path) -> None:
    page = read(results)
    names = {e.name for e in page.all("main")[0].all("a")} | {"script", "link", "img"}
    assert not any(page.all(name) for name in names)
    text = html_report(results, ReportOptions())
    assert "http" not in text and "url(" not in text
    assert page.all("html")[0].attributes["lang"] == "en"
    assert "prefers-color-scheme: dark" in text
    assert all(t.all("caption") and t.all("th", scope="col") for t in page.all("table"))


@pytest.mark.parametrize(
    ("options", "count"),
    [({"audio_utts": 2}, 2), ({"audio_mb": 0.0}, 0), ({"audio_mb": 0.004}, 2)],
)
def test_limits_of_audio(
    results: Path, tmp_path: Path, options: dict[str, Any], count: int
) -> None:
    """Those with most errors come first."""
    make_audio(tmp_path / "data")
    page = read(results, data=str(tmp_path / "data"), **options)
    players = page.all("audio")
    assert len(players) == count
    assert not players or "spk2-utt3" in players[0].attributes["aria-label"]
    assert f"Audio of {count} of 5 utterances" in page.text


def test_tokens_without_words(results: Path) -> None:
    for side in ("ref", "hyp"):
        (results / f"{side}.wrd.trn").unlink()
    page = read(results)
    report = (results / "result.txt").read_text()
    tokens = re.findall(r"\| Sum/Avg\s*\|\s*\d+\s+(\d+)", report)[0]
    assert tables(page)["All tokens"][0][2] == tokens
    assert "Token error rate" in page.text


def test_breakdown() -> None:
    texts = [("A-1", "a b", "a c"), ("A-2", "x", ""), ("B-1", "", "y")]
    utterances = [score(name, r.split(), h.split()) for name, r, h in texts]
    assert [g.name for g in by_speaker(utterances)] == ["A", "B"]
    assert [(g.name, g.wrong) for g in by_length(utterances)] == [("0", 1), ("1-2", 2)]
    assert confusions(utterances) == {("b", "c"): 1, ("x", ""): 1, ("", "y"): 1}
    classes = [length_class(n) for n in (0, 1, 2, 3, 5, 6, 40, 41)]
    assert classes == ["0", "1-2", "1-2", "3-5", "3-5", "6-10", "21-40", "over 40"]


def test_what_is_missing_is_named(results: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "wav.scp").write_text("other other.wav\n")
    with pytest.raises(UserError, match="no utterance 'spk2-utt3'; give the directory"):
        read(results, data=str(tmp_path / "data"))
    with pytest.raises(UserError, match="score the results first"):
        read(tmp_path)
    hyp = results / "hyp.wrd.trn"
    hyp.write_text("\n".join(hyp.read_text().splitlines()[1:]) + "\n")
    with pytest.raises(UserError, match="score the results again"):
        read(results)
    with pytest.raises(UserError, match="--audio-mb: -1"):
        ReportOptions(audio_mb=-1).check()
