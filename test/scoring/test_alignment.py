"""Alignments: cheapest by sclite's weights, with sclite's choice among equals."""

from __future__ import annotations

import random
from itertools import product

import pytest
from rapidfuzz.distance import Levenshtein

from espnet.scoring.alignment import Counts, Pair, align, count

SCLITE_WEIGHTS = (3, 3, 4)  # insertion, deletion, substitution


def cost(pairs: list[Pair]) -> int:
    counts = count(pairs)
    return 4 * counts.substituted + 3 * (counts.inserted + counts.deleted)


def show(pairs: list[Pair]) -> str:
    return " ".join(f"{ref or '*'}{hyp or '*'}" for ref, hyp in pairs)


def test_every_short_pair_is_aligned_at_the_least_cost() -> None:
    sequences = [s for n in range(5) for s in product("ab", repeat=n)]
    for ref, hyp in product(sequences, sequences):
        pairs = align(ref, hyp)
        assert [r for r, _ in pairs if r is not None] == list(ref)
        assert [h for _, h in pairs if h is not None] == list(hyp)
        assert cost(pairs) == Levenshtein.distance(ref, hyp, weights=SCLITE_WEIGHTS)


def test_long_sequences_are_aligned_at_the_least_cost() -> None:
    draw = random.Random(1)
    for _ in range(20):
        ref = draw.choices("abcdefgh", k=draw.randint(0, 120))
        hyp = draw.choices("abcdefgh", k=draw.randint(0, 120))
        expected = Levenshtein.distance(ref, hyp, weights=SCLITE_WEIGHTS)
        assert cost(align(ref, hyp)) == expected


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"),
    [  # from reports of sclite 2.10
        ("G O O D", "G O D", "GG O* OO DD"),
        ("D A Y", "D E Y E", "DD AE YY *E"),
        ("", "K", "*K"),
        ("H E", "", "H* E*"),
        ("a b", "c d e", "*c ad be"),
    ],
)
def test_choice_among_equally_cheap(ref: str, hyp: str, expected: str) -> None:
    assert show(align(ref.split(), hyp.split())) == expected


def test_weights_prefer_correct_tokens_to_substitutions() -> None:
    """With weights 1/1/1 four substitutions would be as good."""
    assert count(align("abcd", "cdef")) == Counts(2, 0, 2, 2)


@pytest.mark.parametrize(
    ("ref", "hyp", "correct"),
    [("A", "a", 1), ("Straße", "STRAßE", 1), ("É", "é", 0), ("你", "你", 1)],
)
def test_case_matters_outside_ascii_only(ref: str, hyp: str, correct: int) -> None:
    assert count(align([ref], [hyp])).correct == correct


def test_counts_add_up() -> None:
    total = Counts(1, 2, 3, 4) + Counts(10, 20, 30, 40)
    assert total == Counts(11, 22, 33, 44)
    assert total.tokens == 66
    assert total.errors == 99
