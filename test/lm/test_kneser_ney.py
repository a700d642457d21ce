"""Modified Kneser-Ney smoothing, against a direct transcription of its equations."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import pytest

from espnet.lm.kneser_ney import FALLBACK, KneserNey, read_sentences, train_kneser_ney
from espnet.nets.scorers.arpa import read_arpa
from espnet.utils.errors import DataError, UserError

TEXT = """a b c a b
b a d
c c a b a
a
b c a b d
a b a b c c
d a b
a c e a a
"""
SENTENCES = [line.split() for line in TEXT.splitlines()]


def probability(model: KneserNey, context: tuple[str, ...], word: str) -> float:
    """As a reader of ARPA files has it."""
    table = model.probabilities[len(context)]
    if (*context, word) in table:
        return table[(*context, word)]
    weight = model.backoffs.get(context, 1.0)
    return weight * probability(model, context[1:], word)


def vocabulary(model: KneserNey) -> list[str]:
    return [word for (word,) in model.probabilities[0] if word != "<s>"]


class Equations:
    """Chen and Goodman's equations word by word: every count by going over the text."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.texts = [("<s>", *words, "</s>") for words in SENTENCES]
        words = {w for text in self.texts for w in text[1:]}
        self.words = [*sorted(words), "<unk>"]

    def occurrences(self, ngram: tuple[str, ...]) -> int:
        n = len(ngram)
        return sum(
            text[i : i + n] == ngram
            for text in self.texts
            for i in range(len(text) - n + 1)
        )

    def count(self, ngram: tuple[str, ...]) -> int:
        if len(ngram) == self.order or ngram[0] == "<s>":
            return self.occurrences(ngram)
        return sum(self.occurrences((w, *ngram)) > 0 for w in ["<s>", *self.words])

    def discounts(self, n: int) -> tuple[float, ...]:
        symbols = ["<s>", *self.words]
        counts = [self.count(g) for g in product(symbols, repeat=n) if g[-1] != "<s>"]
        n1, n2, n3, n4 = (counts.count(k) for k in (1, 2, 3, 4))
        if min(n1, n2, n3) == 0:
            return (0.0, *FALLBACK)
        y = n1 / (n1 + 2 * n2)
        d = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if not all(0 < x <= k for k, x in enumerate(d, 1)):
            return (0.0, *FALLBACK)
        return (0.0, *d)

    def probability(self, context: tuple[str, ...], word: str) -> float:
        discount = self.discounts(len(context) + 1)
        counts = {w: self.count((*context, w)) for w in self.words}
        total = sum(counts.values())
        lower = self.probability(context[1:], word) if context else 1 / len(self.words)
        if total == 0:
            return lower
        gamma = sum(discount[min(c, 3)] for c in counts.values()) / total
        kept = max(counts[word] - discount[min(counts[word], 3)], 0.0) / total
        return kept + gamma * lower


@pytest.mark.parametrize("order", [1, 2, 3])
def test_equations(order: int) -> None:
    model = train_kneser_ney(SENTENCES, order)
    reference = Equations(order)
    contexts: list[tuple[str, ...]] = [(), ("a",), ("<s>",), ("e",), ("a", "b")]
    contexts += [("<s>", "a"), ("d", "d")]
    for context in contexts:
        if len(context) < order:
            for word in vocabulary(model):
                expected = reference.probability(context, word)
                assert probability(model, context, word) == pytest.approx(expected)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_sum_to_one(order: int) -> None:
    """Behind every context, known or not."""
    model = train_kneser_ney(SENTENCES, order)
    words = vocabulary(model)
    assert "<unk>" in words and "</s>" in words
    symbols = [w for w in words if w != "</s>"]
    contexts = [c for n in range(order) for c in product(symbols, repeat=n)]
    contexts += [
        ("<s>", *c) for n in range(order - 1) for c in product(symbols, repeat=n)
    ]
    for context in contexts:
        total = sum(probability(model, context, word) for word in words)
        assert total == pytest.approx(1.0), context


def test_by_hand() -> None:
    """Bigrams of "a b" and "a": discounts are fixed, for the text is too small."""
    model = train_kneser_ney([["a", "b"], ["a"]], 2)
    # continuation counts: a after <s>; b after a; </s> after b and after a
    uniform, total = 1 / 4, 4
    gamma = (0.5 + 0.5 + 1.0) / total
    a, end = 0.5 / total + gamma * uniform, 1.0 / total + gamma * uniform
    assert model.probabilities[0] == pytest.approx(
        {("a",): a, ("b",): a, ("</s>",): end, ("<unk>",): gamma * uniform, ("<s>",): 0}
    )
    # <s> a occurs twice, a b and a </s> and b </s> once
    assert model.backoffs == pytest.approx({("<s>",): 0.5, ("a",): 0.5, ("b",): 0.5})
    assert model.probabilities[1] == pytest.approx(
        {
            ("<s>", "a"): 0.5 + 0.5 * a,
            ("a", "b"): 0.25 + 0.5 * a,
            ("a", "</s>"): 0.25 + 0.5 * end,
            ("b", "</s>"): 0.5 + 0.5 * end,
        }
    )


def test_arpa_file_is_the_model(tmp_path: Path) -> None:
    """Our reader, which knows nothing of the estimation, gives the same."""
    model = train_kneser_ney(SENTENCES, 3)
    model.write_arpa(tmp_path / "lm.arpa")
    read = read_arpa(tmp_path / "lm.arpa")
    for history in ((), ("a",), ("a", "b"), ("b", "a", "b"), ("e", "<unk>")):
        context = read.start()
        for word in history:
            context = read.advance(context, read.words[word])
        scores = read.scores(context)
        for word in vocabulary(model):
            expected = probability(model, ("<s>", *history)[-2:], word)
            found = scores[read.words[word]]
            assert found == pytest.approx(math.log10(expected), abs=1e-5)


def test_unknown_words_of_the_text_are_words() -> None:
    model = train_kneser_ney([["a", "<unk>", "b"]], 1)
    assert sum(model.probabilities[0].values()) == pytest.approx(1.0)


def test_texts(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a b\n\n  c\n")
    assert read_sentences(path) == [["a", "b"], ["c"]]
    path.write_text("a </s>\nb\n<s> c\n")
    with pytest.raises(DataError) as info:
        read_sentences(path)
    assert info.value.problems[1].startswith(f"{path}:3: '<s>' marks the border")
    path.write_text("\n")
    with pytest.raises(UserError, match="holds no word"):
        read_sentences(path)
