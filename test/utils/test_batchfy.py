"""Minibatches against the rules written down a second time, plainly."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet.data.batch_summary import summarise
from espnet.utils.batchfy import (
    BatchLimits,
    Sides,
    cut_batches,
    make_batchset,
)
from espnet.utils.errors import UserError

IDIM, ODIM = 5, 7


def utterance(ilen: int, olen: int, **more: Any) -> dict[str, Any]:
    return {
        "input": [{"shape": [ilen, IDIM]}],
        "output": [{"shape": [olen, ODIM]}],
        **more,
    }


def corpus(count: int, seed: int = 0) -> dict[str, dict[str, Any]]:
    numbers = random.Random(seed)
    return {
        f"u{i}": utterance(numbers.randint(1, 40), numbers.randint(0, 9))
        for i in range(count)
    }


# no files, and no deadline: the machine may be busy
randomly = settings(database=None, deadline=None, max_examples=60)
LENGTHS = st.tuples(st.integers(1, 60), st.integers(0, 12))
CORPORA = st.lists(LENGTHS, min_size=1, max_size=25)
SOME_LIMITS = st.one_of(
    st.builds(
        BatchLimits,
        batch_size=st.integers(1, 12),
        max_length_in=st.integers(1, 70),
        max_length_out=st.integers(1, 15),
    ),
    st.builds(BatchLimits, batch_bins=st.integers(1, 3000)),
    st.builds(
        BatchLimits,
        batch_frames_in=st.sampled_from([0, 60, 100, 333]),
        batch_frames_out=st.sampled_from([0, 12, 40]),
        batch_frames_inout=st.integers(72, 400),
    ),
)


def names(batches: list) -> list[list[str]]:
    return [[name for name, _ in batch] for batch in batches]


def by_the_book(
    data: dict, limits: BatchLimits, shortest_first: bool
) -> list[list[str]]:
    """Section "How to set minibatch" of the tutorial, one batch at a time."""
    rest = sorted(
        data, key=lambda u: data[u]["input"][0]["shape"][0], reverse=not shortest_first
    )
    size = {
        u: (e["input"][0]["shape"][0], e["output"][0]["shape"][0])
        for u, e in data.items()
    }

    def fits(batch: list[str]) -> bool:
        ilen, olen = max(size[u][0] for u in batch), max(size[u][1] for u in batch)
        n = len(batch)
        if limits.mode() == "seq":
            first_in, first_out = size[batch[0]]
            factor = max(
                first_in // limits.max_length_in, first_out // limits.max_length_out
            )
            return n <= max(1, limits.batch_size // (1 + factor))
        if limits.mode() == "bin":
            return n == 1 or n * (ilen * IDIM + olen * ODIM) <= limits.batch_bins
        return all(
            limit == 0 or n * frames <= limit
            for limit, frames in (
                (limits.batch_frames_in, ilen),
                (limits.batch_frames_out, olen),
                (limits.batch_frames_inout, ilen + olen),
            )
        )

    batches: list[list[str]] = []
    for u in rest:
        if batches and fits([*batches[-1], u]):
            batches[-1].append(u)
        else:
            batches.append([u])
    return [b[::-1] for b in batches] if shortest_first else batches


LIMITS = [
    BatchLimits(batch_size=4, max_length_in=15, max_length_out=4),
    BatchLimits(count="seq", batch_size=1, batch_bins=10),
    BatchLimits(batch_bins=700),
    BatchLimits(count="bin", batch_bins=10, batch_size=3),
    BatchLimits(batch_frames_in=100),
    BatchLimits(batch_frames_out=20, batch_frames_inout=120),
    BatchLimits(count="frame", batch_frames_inout=90, batch_size=3),
]


@pytest.mark.parametrize("shortest_first", [False, True])
@pytest.mark.parametrize("limits", LIMITS)
def test_batches_are_those_of_the_rules(
    limits: BatchLimits, shortest_first: bool
) -> None:
    for seed in range(20):
        data = corpus(30, seed)
        batches = cut_batches(data, limits, shortest_first=shortest_first)
        assert names(batches) == by_the_book(data, limits, shortest_first)
        assert sorted(n for batch in names(batches) for n in batch) == sorted(data)
        for batch in batches:
            lengths = [e["input"][0]["shape"][0] for _, e in batch]
            assert lengths == sorted(lengths, reverse=True)


@randomly
@given(lengths=CORPORA, limits=SOME_LIMITS, shortest_first=st.booleans())
def test_any_batches_are_those_of_the_rules(
    lengths: list, limits: BatchLimits, shortest_first: bool
) -> None:
    data = {f"u{i}": utterance(*pair) for i, pair in enumerate(lengths)}
    batches = cut_batches(data, limits, shortest_first=shortest_first)
    assert names(batches) == by_the_book(data, limits, shortest_first)


@randomly
@given(lengths=CORPORA, limits=SOME_LIMITS, shortest_first=st.booleans())
def test_swapped_sides_are_the_same_rules(
    lengths: list, limits: BatchLimits, shortest_first: bool
) -> None:
    """Synthesis, where text is the input, batches as a mirrored corpus would."""
    mirrored = {f"u{i}": utterance(*pair) for i, pair in enumerate(lengths)}
    data = {
        name: {
            "input": entry["output"] + [{"shape": [512]}],  # and a speaker's vector
            "output": entry["input"],
        }
        for name, entry in mirrored.items()
    }
    batches = cut_batches(
        data, limits, shortest_first=shortest_first, sides=Sides(swapped=True)
    )
    assert names(batches) == names(cut_batches(mirrored, limits, 0, shortest_first))


@randomly
@given(
    groups=st.lists(st.lists(LENGTHS, min_size=4, max_size=20), min_size=1, max_size=3),
    limits=SOME_LIMITS,
    least=st.integers(1, 4),
    shortest_first=st.booleans(),
    sort_key=st.sampled_from(["input", "output"]),
)
def test_what_holds_whatever_the_limits(
    groups: list[list],
    limits: BatchLimits,
    least: int,
    shortest_first: bool,
    sort_key: str,
) -> None:
    """Nobody is lost, categories do not mix, and each process gets an utterance."""
    data = {
        f"c{c}-{i}": utterance(*pair, category=f"c{c}")
        for c, lengths in enumerate(groups)
        for i, pair in enumerate(lengths)
    }
    limits = replace(limits, min_batch_size=least)
    batches = names(cut_batches(data, limits, 0, shortest_first, sort_key))
    assert {name for batch in batches for name in batch} == set(data)
    for batch in batches:
        assert len(batch) == len(set(batch)) >= least
        assert len({name.partition("-")[0] for name in batch}) == 1
    repeated = sum(map(len, batches)) - len(data)
    assert repeated < least * len(groups)  # only the last batch of a category
    if least == 1:
        assert repeated == 0
        key = 0 if sort_key == "input" else 1
        side = ("input", "output")[key]
        for c in range(len(groups)):
            tops = [
                [data[name][side][0]["shape"][0] for name in batch]
                for batch in batches
                if batch[0].startswith(f"c{c}-")
            ]
            in_a_row = [n for batch in tops for n in batch[:: 1 - 2 * shortest_first]]
            assert in_a_row == sorted(in_a_row, reverse=not shortest_first)


def test_other_lengths_may_be_what_is_sorted_by() -> None:
    data = {f"u{i}": utterance(n, 9 - n) for i, n in enumerate([3, 5, 4])}
    by_output = make_batchset(data, 1, batch_sort_key="output")
    assert names(by_output) == [["u0"], ["u2"], ["u1"]]
    mixed = [make_batchset(corpus(50), 8, batch_sort_key="shuffle") for _ in range(2)]
    assert names(mixed[0]) == names(mixed[1])  # a rerun has the same batches
    lengths = [e["input"][0]["shape"][0] for batch in mixed[0] for _, e in batch]
    assert lengths != sorted(lengths, reverse=True)


def test_the_second_input_may_count() -> None:
    data = {f"u{i}": utterance(n, 2) for i, n in enumerate([3, 5, 4])}
    for entry in data.values():
        entry["input"].insert(0, {"shape": [7, 1]})
    assert names(make_batchset(data, 1, iaxis=1)) == [["u1"], ["u2"], ["u0"]]


def test_seq_shrinks_as_in_the_tutorial() -> None:
    data = {f"u{i}": utterance(n, 10) for i, n in enumerate([1700] * 20 + [900] * 32)}
    batches = make_batchset(data, batch_size=32, max_length_in=800, max_length_out=150)
    assert [len(b) for b in batches] == [10, 10, 16, 16]  # 32 / 3, 32 / 2
    long_output = {f"u{i}": utterance(10, 300) for i in range(32)}
    batches = make_batchset(
        long_output, batch_size=32, max_length_in=800, max_length_out=150
    )
    assert [len(b) for b in batches] == [10, 10, 10, 2]


def test_bins_count_the_padded_tensors() -> None:
    """The longest input counts, not the newest: that is what padding makes of it."""
    data = {f"u{i}": utterance(n, 1) for i, n in enumerate([20, 10, 10, 10])}
    batches = make_batchset(data, batch_bins=2 * (20 * IDIM + ODIM))
    assert [len(b) for b in batches] == [2, 2]


def test_categories_do_not_mix() -> None:
    data = {
        f"u{i}": utterance(10 + i, 2, category=["far", "near"][i % 2])
        for i in range(10)
    }
    batches = make_batchset(data, batch_size=3)
    assert [{e["category"] for _, e in b} for b in batches] == [{"far"}] * 2 + [
        {"near"}
    ] * 2


@pytest.mark.parametrize("shortest_first", [False, True])
@pytest.mark.parametrize(
    "more", [{"batch_size": 3}, {"batch_bins": 300}, {"batch_frames_in": 60}]
)
def test_a_batch_has_at_least_as_many_as_there_are_gpus(
    more: dict[str, int], shortest_first: bool
) -> None:
    for count in range(3, 20):
        data = corpus(count, seed=count)
        batches = make_batchset(
            data, min_batch_size=3, shortest_first=shortest_first, **more
        )
        assert all(len(b) >= 3 and len(set(names([b])[0])) == len(b) for b in batches)
        assert {name for b in names(batches) for name in b} == set(data)


def test_only_the_first_batches() -> None:
    assert (
        names(make_batchset(corpus(9), 2, num_batches=2))
        == names(make_batchset(corpus(9), 2))[:2]
    )
    assert len(make_batchset(corpus(9), 2, num_batches=-1)) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "auto needs one of --batch-size, --batch-bins"),
        ({"count": "seq", "batch_bins": 5}, "seq needs --batch-size above 0"),
        ({"count": "bin", "batch_size": 5}, "bin needs --batch-bins above 0"),
        ({"count": "frame", "batch_size": 5}, "frame needs --batch-frames-in"),
        ({"count": "frames"}, "none of auto, seq, bin, frame (did you mean 'frame'?)"),
        (
            {"batch_frames_in": 9},
            "batch-frames-in: 9 is less than utterance 'long' alone",
        ),
        ({"batch_frames_out": 2}, "batch-frames-out: 2 is less than utterance 'long'"),
        ({"batch_size": 1, "batch_sort_key": "x"}, "none of input, output, shuffle"),
        ({"batch_bins": 9, "batch_sort_key": "shuffle"}, "not go with batch-count bin"),
        ({"batch_size": 1, "min_batch_size": 4}, "2 utterances are fewer than a batch"),
    ],
)
def test_limits_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    data = {"short": utterance(4, 1), "long": utterance(10, 3)}
    with pytest.raises(UserError) as error:
        make_batchset(data, **options)
    assert words in str(error.value)


def test_summary() -> None:
    data = {"a": utterance(4, 1), "b": utterance(10, 3), "c": utterance(5, 2)}
    assert str(summarise(make_batchset(data, 2))) == (
        "3 utterances in 2 minibatches of 1 to 2, 20.8% padding; "
        "longest: b, 10 frames, 3 labels"
    )
