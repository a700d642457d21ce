"""N-gram models: ARPA files, back-off by hand, the search's scorers, KenLM."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from espnet.lm.kneser_ney import train_kneser_ney
from espnet.nets.scorers.arpa import read_arpa
from espnet.nets.scorers.ngram import (
    ArpaNgram,
    KenlmNgram,
    NgramFullScorer,
    NgramPartScorer,
    load_ngram,
)
from espnet.utils.errors import DataError, UserError

CHARS = ["<blank>", "<unk>", "a", "b", "c", "<eos>"]
WORDS = [*CHARS[:-1], "</s>"]
EOS = 5
ARPA = """
\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.5 <unk>
-99 <s> -0.5
-0.6 a -0.4
-0.7 b -0.3
-0.8 </s>

\\2-grams:
-0.3 <s> a -0.2
-0.4 a b -0.1
-0.5 b a 0
-0.2 b </s>

\\3-grams:
-0.15 <s> a b
-0.25 a b </s>

\\end\\
"""


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return path


@pytest.mark.parametrize(
    ("history", "word", "expected"),
    [
        ("", "a", -0.3),
        ("", "b", -0.5 + -0.7),  # back-off of <s>
        ("a", "b", -0.15),
        ("a", "</s>", -0.2 + -0.4 + -0.8),  # of <s> a, then of a
        ("a b", "</s>", -0.25),
        ("a b", "a", -0.1 + -0.5),
        ("a b", "b", -0.1 + -0.3 + -0.7),
        ("b a", "b", 0 + -0.4),
        ("a b a b", "</s>", -0.25),
        ("zzz", "a", -0.6),  # <unk> has no back-off and starts no bigram
        ("a b", "zzz", -0.1 + -0.3 + -1.5),
    ],
)
def test_back_off_by_hand(arpa: Path, history: str, word: str, expected: float) -> None:
    model = read_arpa(arpa)
    unknown = model.words["<unk>"]
    context = model.start()
    for before in history.split():
        context = model.advance(context, model.words.get(before, unknown))
    scores = model.scores(context)
    assert scores[model.words.get(word, unknown)] == pytest.approx(expected)


def test_file_without_unknown_word(tmp_path: Path) -> None:
    """As in KenLM, log10 of an unknown word is -100."""
    text = ARPA.replace("-1.5 <unk>\n", "").replace("ngram 1=5", "ngram 1=4")
    (tmp_path / "lm.arpa").write_text(text)
    model = ArpaNgram(tmp_path / "lm.arpa", WORDS)
    start = model.start()
    assert model.scores(start)[4] == pytest.approx(-100 - 0.5)


def changed(old: str, new: str) -> str:
    assert ARPA.count(old) == 1
    return ARPA.replace(old, new)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("hello\n", ["1: is not an ARPA file: it has no line \\data\\"]),
        ("\\data\\\n\\end\\\n", ["2: has no words: there are no 1-grams"]),
        (
            "\\data\\\nngram 1=0\n\\1-grams:\n\\end\\\n",
            ["4: has no words: there are no 1-grams"],
        ),
        (ARPA[: ARPA.index("\\end")], ["the file ends without \\end\\; is it cut"]),
        (
            changed("\\3-grams:", "\\4-grams:"),
            ["20: unknown order: the section '\\4-grams:' comes where"],
        ),
        (
            changed("\\end\\", "\\4-grams:\n-1 a a a a\n\\end\\"),
            ["'\\4-grams:' comes where '\\end\\' must be", "orders up to 3"],
        ),
        (changed("ngram 2=4", "ngram 3=4"), ["4: unknown order: 'ngram 3=4' must be"]),
        (
            changed("-0.3 <s> a -0.2", "-0.3 <s> a"),
            ["21: '<s> a b' continues the n-gram of line 15, which has no back-off"],
        ),
        (
            changed("-0.4 a b -0.1", "-0.4 a <unk> -0.1"),
            ["22: 'a b </s>' its first words are not there as a shorter n-gram"],
        ),
        (changed("-0.5 b a 0", "-0.5 a b 0"), ["17: 'a b' is there already"]),
        (changed("ngram 2=4", "ngram 2=5"), ["has 4 2-grams, but \\data\\ promises 5"]),
        (changed("-0.5 b a 0", "-0.5 b q 0"), ["17: 'q' is not among the 1-grams"]),
        (
            changed("-0.5 b a 0", "x b a 0").replace("-0.4 a b", "0.4 a b"),
            [
                "16: '0.4' is no logarithm of a probability, being above 0",
                "17: 'x b a 0' must be '<log10 probability> <2 words> [<log10",
            ],
        ),
        (
            changed("-0.15 <s> a b", "-0.15 <s> a b 0 0"),
            ["must be '<log10 probability>"],
        ),
    ],
)
def test_bad_files(tmp_path: Path, text: str, messages: list[str]) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(text)
    with pytest.raises(DataError) as info:
        read_arpa(path)
    for message in messages:
        assert message in str(info.value)
    assert all(p.startswith(f"{path}:") for p in info.value.problems)


def sums(model: ArpaNgram, tokens: list[int]) -> Tensor:
    """Scores (V,) behind tokens, context read anew."""
    context = model.start()
    for token in tokens:
        context = model.advance(context, token)
    return torch.from_numpy(model.scores(context)).float()


@pytest.mark.parametrize("kind", ["full", "part"])
def test_scorers_equal_one_by_one(tmp_path: Path, kind: str) -> None:
    sentences = [s.split() for s in ("a b", "b a c", "c", "a a b", "a b a b", "c a b")]
    train_kneser_ney(sentences, 3).write_arpa(tmp_path / "lm.arpa")
    model = ArpaNgram(tmp_path / "lm.arpa", WORDS)
    full, part = NgramFullScorer(model, len(CHARS)), NgramPartScorer(model, len(CHARS))
    state = full.start(torch.zeros(2, 1), torch.ones(2), 3)
    histories: list[list[int]] = [[]] * 6
    draw = torch.Generator().manual_seed(2)
    for step in range(6):
        newest = torch.tensor([h[-1] if h else EOS for h in histories])
        expected = torch.stack([sums(model, h) for h in histories])
        if kind == "full":
            scores, state = full.score(newest, state)
        elif step % 2:
            scores, state = part.score_partial(newest, state, None)
        else:
            shape = (len(histories), 3)
            chosen = torch.randint(len(CHARS), shape, generator=draw)
            scores, state = part.score_partial(newest, state, chosen)
            expected = expected.gather(1, chosen)
        torch.testing.assert_close(scores, expected)
        rows = torch.randint(len(histories), (3 if step == 3 else 6,), generator=draw)
        rows = rows.clamp(max=len(histories) - 1)[: len(histories)]
        tokens = torch.randint(EOS, (len(rows),), generator=draw)
        histories = [
            [*histories[r], t]
            for r, t in zip(rows.tolist(), tokens.tolist(), strict=True)
        ]
        state = full.select(state, rows, tokens)


def test_the_cache_of_scores_stays_small(
    arpa: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espnet.nets.scorers.ngram.CACHED_NUMBERS", 2 * len(CHARS))
    scorer = NgramFullScorer(ArpaNgram(arpa, WORDS), len(CHARS))
    state = scorer.start(torch.zeros(1, 1), torch.ones(1), 1)
    for token in (EOS, 2, 3, 2, 3):
        _, state = scorer.score(torch.tensor([token]), state)
        assert len(scorer.table._rows) <= 2


def test_binary_file_needs_kenlm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lm.bin").write_bytes(b"mmap lm http://kheafield.com/code format")
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(UserError, match="binary file of KenLM; install the package"):
        load_ngram(tmp_path / "lm.bin", CHARS)
    with pytest.raises(UserError, match="--ngram-model: .*lost.arpa: cannot be read"):
        load_ngram(tmp_path / "lost.arpa", CHARS)


def test_kenlm_is_used_if_it_is_there(
    arpa: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module with KenLM's functions, here made of our own reader."""
    model = read_arpa(arpa)

    class State:
        context: tuple[int, ...] = ()

    class Model:
        def __init__(self, path: str, config: Any) -> None:
            assert (config.show_progress, config.arpa_complain) == (False, "none")
            if "bad" in path:
                raise OSError("no model")

        def __contains__(self, word: str) -> bool:
            return word in model.words

        def BeginSentenceWrite(self, state: State) -> None:
            state.context = model.start()

        def BaseScore(self, state: State, word: str, after: State) -> float:
            number = model.words.get(word, model.words["<unk>"])
            after.context = model.advance(state.context, number)
            return float(model.scores(state.context)[number])

    kenlm: Any = ModuleType("kenlm")
    kenlm.Model, kenlm.State = Model, State
    kenlm.Config, kenlm.ARPALoadComplain = Namespace, Namespace(NONE="none")
    monkeypatch.setitem(sys.modules, "kenlm", None)
    ours = load_ngram(arpa, CHARS)
    assert isinstance(ours, ArpaNgram)
    monkeypatch.setitem(sys.modules, "kenlm", kenlm)
    theirs = load_ngram(arpa, CHARS)
    assert isinstance(theirs, KenlmNgram)
    a, b = ours.start(), theirs.start()
    for token in (2, 3, 4, 2):
        assert ours.scores(a) == pytest.approx(theirs.scores(b))
        a, b = ours.advance(a, token), theirs.advance(b, token)
    (arpa.parent / "bad.arpa").write_text(ARPA)
    assert isinstance(load_ngram(arpa.parent / "bad.arpa", CHARS), ArpaNgram)
    (arpa.parent / "bad.bin").write_bytes(b"mmap lm http://kheafield.com/code format")
    with pytest.raises(UserError, match="kenlm cannot read it: no model"):
        load_ngram(arpa.parent / "bad.bin", CHARS)
    (arpa.parent / "bad.arpa").write_text(changed("ngram 2=4", "ngram 3=4"))
    with pytest.raises(DataError, match="bad.arpa:4: unknown order"):
        load_ngram(arpa.parent / "bad.arpa", CHARS)


def test_a_model_of_other_tokens(arpa: Path) -> None:
    """One token in common is enough: a small text does not have them all."""
    load_ngram(arpa, ["<blank>", "<unk>", "x", "a", "<eos>"])
    with pytest.raises(UserError, match="another vocabulary: .* tokens .x, y, ..."):
        load_ngram(arpa, ["<blank>", "<unk>", "x", "y", "<eos>"])


def test_equal_to_kenlm(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    text = "a b c a b\nb a\nc c a b a\na\nb c a b\n"
    sentences = [line.split() for line in text.splitlines()]
    train_kneser_ney(sentences, 3).write_arpa(tmp_path / "lm.arpa")
    ours = ArpaNgram(tmp_path / "lm.arpa", WORDS)
    theirs = kenlm.Model(str(tmp_path / "lm.arpa"))
    wrapped = load_ngram(tmp_path / "lm.arpa", CHARS)
    assert isinstance(wrapped, KenlmNgram)
    a, b = ours.start(), wrapped.start()
    for token in (2, 3, 1, 2, 3, 0, 4, 4, 2):
        assert ours.scores(a) == pytest.approx(wrapped.scores(b), abs=1e-5)
        a, b = ours.advance(a, token), wrapped.advance(b, token)
    for sentence in [*text.splitlines(), "c b zzz a a b", ""]:
        words = sentence.split()
        ids = [CHARS.index(w) if w in CHARS else 1 for w in words]
        rows = [sums(ours, ids[:i]) for i in range(len(ids) + 1)]
        total = sum(float(r[i]) for r, i in zip(rows, [*ids, EOS], strict=True))
        assert math.isclose(total, theirs.score(sentence), rel_tol=1e-4, abs_tol=1e-4)
