"""Minibatches as tensors: what is in them, and in which order they come."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_corpus import IDIM, write_corpus

from espnet.data import dataset
from espnet.data.collate import collate
from espnet.data.dataset import AHEAD, BatchLoader, UtteranceReader
from espnet.data.loading import load_features
from espnet.utils.batchfy import make_batchset
from espnet.utils.errors import UserError


class Noise:
    """Adds random numbers, as augmentation does."""

    def reseed(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, xs: list, uttids: list, *, train: bool) -> list:
        return [x + train * self.random.normal(size=x.shape) for x in xs]


@pytest.fixture
def utts(tmp_path: Path) -> dict:
    files = write_corpus(tmp_path)
    return json.loads(files["train"].read_text())["utts"]


def loader(utts: dict, train: bool = True, **options: object) -> BatchLoader:
    reader = UtteranceReader(Noise(), train, seed=3, idim=IDIM)
    return BatchLoader(make_batchset(utts, 3), reader, shuffle=train, **options)  # type: ignore[arg-type]


def test_collate() -> None:
    short, long = np.ones((3, 2), np.float32), np.full((5, 2), 2, np.float32)
    labels = [np.array([7, 8]), np.array([9])]
    batch = collate(["a", "b"], [short, long], labels=labels)
    assert batch.uttids == ("b", "a")  # longest first
    assert batch.ilens.tolist() == [5, 3]
    assert batch.xs.shape == (2, 5, 2) and batch.xs.dtype == torch.float32
    assert batch.xs[1, :, 0].tolist() == [1, 1, 1, 0, 0]
    assert batch.ys.tolist() == [[9, -1], [7, 8]]
    assert batch.to(torch.device("cpu"), torch.float64).xs.dtype == torch.float64


@pytest.mark.parametrize(
    ("step", "kept"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3])]
)
def test_frames_dropped_at_the_input(step: int, kept: list[int]) -> None:
    x = np.arange(5, dtype=np.float32)[:, None]
    batch = collate(["a"], [x], labels=[np.array([1])], subsample=step)
    assert batch.xs[0, :, 0].tolist() == kept and batch.ilens.tolist() == [len(kept)]


def test_features_are_those_of_the_archive(utts: dict) -> None:
    from espnet.data.ark import read_matrix

    for batch in loader(utts, train=False).epoch(0):
        for row, uttid in enumerate(batch.uttids):
            stored = read_matrix(utts[uttid]["input"][0]["feat"])
            assert np.array_equal(batch.xs[row, : batch.ilens[row]].numpy(), stored)
            tokens = utts[uttid]["output"][0]["tokenid"].split()
            ys = batch.ys[row]
            assert ys[ys >= 0].tolist() == [int(t) for t in tokens]


def contents(loader: BatchLoader, epoch: int, start: int = 0) -> list[tuple]:
    return [(b.uttids, b.xs.sum().item()) for b in loader.epoch(epoch, start)]


def test_neither_processes_nor_interruptions_matter(utts: dict) -> None:
    alone, helped = loader(utts), loader(utts, workers=2)
    for epoch in (0, 1):
        assert contents(alone, epoch) == contents(helped, epoch)
    assert contents(loader(utts), 1, start=2) == contents(alone, 1)[2:]


def test_the_global_random_numbers_are_left_alone(utts: dict) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    contents(loader(utts), 0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]


def test_epochs_differ_in_order_and_augmentation(utts: dict) -> None:
    first, second = (contents(loader(utts), epoch) for epoch in (0, 1))
    assert sorted(u for u, _ in first) == sorted(u for u, _ in second)
    assert [u for u, _ in first] != [u for u, _ in second]
    assert not {x for _, x in first} & {x for _, x in second}
    valid = loader(utts, train=False)
    assert contents(valid, 0) == contents(valid, 1)


@pytest.mark.parametrize(("in_order", "sorted_epochs"), [(0, 0), (2, 2), (-1, 9)])
def test_sortagrad(utts: dict, in_order: int, sorted_epochs: int) -> None:
    batches = loader(utts, in_order=in_order)
    for epoch in range(5):
        is_sorted = batches.order(epoch) == list(range(len(batches)))
        assert is_sorted == (epoch < sorted_epochs)


def test_fingerprint_tells_other_data_and_orders(utts: dict) -> None:
    fewer = dict(list(utts.items())[1:])
    prints = {
        loader(utts).fingerprint(),
        loader(fewer).fingerprint(),
        loader(utts, seed=9).fingerprint(),
        loader(utts, in_order=1).fingerprint(),
    }
    assert len(prints) == 4
    assert loader(utts, workers=1).fingerprint() in prints


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_features_are_named(
    utts: dict, workers: int, tmp_path: Path
) -> None:
    utts["utt04"]["input"][0]["feat"] = f"{tmp_path}/gone.ark:7"
    with pytest.raises(UserError, match=r"^utterance 'utt04': .*gone.ark") as error:
        contents(loader(utts, workers=workers), 0)
    assert "Traceback" not in str(error.value)


def test_features_of_another_size_are_named(utts: dict) -> None:
    reader = UtteranceReader(idim=IDIM + 1)
    with pytest.raises(UserError, match=r"'utt00'.*needs \(frames, 5\)"):
        reader.features("utt00", utts["utt00"])


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_features_may_be_skipped(
    utts: dict, workers: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are named once; the others of their minibatch stay."""
    utts["utt04"]["input"][0]["feat"] = f"{tmp_path}/gone.ark:7"
    batches = loader(utts, workers=workers, skip_bad=True)
    for epoch in (0, 1):
        seen = [utt for uttids, _ in contents(batches, epoch) for utt in uttids]
        assert sorted(seen) == sorted(set(utts) - {"utt04"})
    assert caplog.text.count("utterance 'utt04': ") == 1
    assert "left out (1 so far)" in caplog.text


def test_a_minibatch_of_which_nothing_is_left_is_replaced(
    utts: dict, tmp_path: Path
) -> None:
    """So that every epoch, and every process, has as many of them."""
    batches = loader(utts, train=False, skip_bad=True)
    expected = [batch.uttids for batch in batches.epoch(0)]
    for utt in expected[0]:
        utts[utt]["input"][0]["feat"] = f"{tmp_path}/gone.ark:7"
    assert [b.uttids for b in batches.epoch(0)] == [expected[1], *expected[1:]]
    for entry in utts.values():
        entry["input"][0]["feat"] = f"{tmp_path}/gone.ark:7"
    with pytest.raises(UserError, match=r"no utterance can be read.*gone.ark"):
        contents(batches, 0)


def test_all_processes_begin_with_as_many_large_minibatches(
    utts: dict, tmp_path: Path
) -> None:
    """Their gradients are averaged: a process with fewer would leave the others."""
    whole = len(list(loader(utts, skip_bad=True).largest()))
    for utt, _ in loader(utts).batches[0][0::2]:
        utts[utt]["input"][0]["feat"] = f"{tmp_path}/gone.ark:7"
    for rank in range(2):
        batches = loader(utts, skip_bad=True, part=(rank, 2))
        assert len(list(batches.largest())) == whole


def test_an_archive_is_read_from_front_to_back(
    utts: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[int] = []

    def read(place: str, filetype: str) -> np.ndarray:
        places.append(int(place.rpartition(":")[2]))
        return load_features(place, filetype)

    monkeypatch.setattr(dataset, "load_features", read)
    batches = loader(utts)
    contents(batches, 0)
    assert len(places) == len(utts)
    start = 0
    for number in batches.order(0):
        size = len(batches.batches[number])
        assert places[start : start + size] == sorted(places[start : start + size])
        start += size


class Counted(UtteranceReader):
    """Counts what all processes have read."""

    done = multiprocessing.Value("i", 0)

    def inputs(self, *arguments: Any) -> list[np.ndarray]:
        with self.done.get_lock():
            self.done.value += 1
        return super().inputs(*arguments)


def test_processes_read_ahead_so_far_and_no_further(utts: dict) -> None:
    """Memory is bounded by the number of processes, not by the speed of training."""
    batches = BatchLoader(make_batchset(utts, 1), Counted(), workers=1)
    Counted.done.value = 0
    minibatches = batches.epoch(0)
    for taken in range(1, 4):
        next(minibatches)
        deadline = time.monotonic() + 10
        while Counted.done.value < taken + AHEAD and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)  # it had the time for more
        assert Counted.done.value == taken + AHEAD


def test_the_next_epoch_is_read_ahead(utts: dict) -> None:
    """While validation runs; another one that is asked for is right all the same."""
    minibatches = make_batchset(utts, 1)
    alone = BatchLoader(minibatches, Counted(Noise(), True), shuffle=True)
    expected = {epoch: contents(alone, epoch) for epoch in (0, 1, 5)}
    batches = BatchLoader(minibatches, Counted(Noise(), True), shuffle=True, workers=1)
    Counted.done.value = 0
    assert contents(batches, 0) == expected[0]
    deadline = time.monotonic() + 10
    while Counted.done.value < len(utts) + AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Counted.done.value == len(utts) + AHEAD
    assert contents(batches, 1) == expected[1]
    assert contents(batches, 5) == expected[5]
    assert contents(batches, 5, start=3) == expected[5][3:]


def test_several_inputs_go_side_by_side(utts: dict) -> None:
    """Rows of all are in the order of the first one's lengths; each has its own."""
    for entry in utts.values():
        entry["input"].append(dict(entry["input"][0], name="input2"))
    other = utts["utt00"]["input"][0]
    utts["utt01"]["input"][1] = other
    reader = UtteranceReader(idim=[IDIM, IDIM])
    (batch,) = BatchLoader(
        make_batchset({u: utts[u] for u in ("utt00", "utt01")}, 2), reader
    ).epoch(0)
    (xs, more), (ilens, more_ilens), ys = batch.inputs
    assert ilens.tolist() == sorted(ilens.tolist(), reverse=True)
    assert more_ilens.tolist() == [other["shape"][0]] * 2
    row = batch.uttids.index("utt00")
    length = int(ilens[row])
    assert torch.equal(more[1 - row], more[row])
    assert torch.equal(more[row, :length], xs[row, :length])
    moved = batch.to(torch.device("cpu"), torch.float64)
    assert moved.inputs[0][1].dtype == torch.float64 and moved.inputs[2] is ys
    with pytest.raises(UserError, match="'utt00': has 2 inputs, the model needs 3"):
        UtteranceReader(idim=[IDIM] * 3).inputs("utt00", utts["utt00"])
