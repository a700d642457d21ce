"""Files of weights: whole, harmless, or refused by name."""

from __future__ import annotations

import random
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from espnet.train.checkpoint import (
    DamagedFile,
    drop_snapshots,
    load,
    load_snapshot,
    random_state,
    remove_leftovers,
    save,
    set_random_state,
    snapshots,
)
from espnet.utils.errors import UserError


def snapshot(**more: Any) -> dict[str, Any]:
    return {"model": {"w": torch.ones(2)}, "optimizer": {}, "trainer": {}, **more}


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 4 kB, as if the disk were full."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, small_disk: None) -> None:
    path = tmp_path / "model.acc.best"
    save({"w": torch.zeros(2)}, path)
    with pytest.raises(UserError) as error:
        save({"w": torch.zeros(99999)}, path)
    assert f"{path}: cannot be written: File too large" in str(error.value)
    assert "run the same command again" in str(error.value)
    assert torch.equal(load(path)["w"], torch.zeros(2))
    assert [p.name for p in tmp_path.iterdir()] == ["model.acc.best"]


def test_any_cut_is_found(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.ep.1"
    save(snapshot(), path)
    content = path.read_bytes()
    for size in range(0, len(content), 37):
        path.write_bytes(content[:size])
        with pytest.raises(DamagedFile, match=r"snapshot.ep.1: is cut short"):
            load_snapshot(path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "owned",))

    torch.save(snapshot(trainer=Evil()), tmp_path / "snapshot.ep.1")
    with pytest.raises(DamagedFile):
        load_snapshot(tmp_path / "snapshot.ep.1")
    assert not (tmp_path / "owned").exists()


def test_newest_first_also_inside_epochs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second epoch ended at the 120th update: the first was on other data."""
    places = {
        "ep.2": (2, 0),
        "ep.10": (10, 0),
        "iter.50": (0, 50),
        "iter.110": (1, 10),
        "iter.121": (2, 1),
        "iter.250": (9, 50),
    }
    for name, (epoch, batch) in places.items():
        position = {"epoch": epoch, "batch": batch}
        save(snapshot(trainer={"position": position}), tmp_path / f"snapshot.{name}")
    save(snapshot(), tmp_path / "snapshot.ep.1")  # another program's
    (tmp_path / "snapshot.ep.11").write_bytes(b"PK\3\4")
    (tmp_path / "snapshot.ep.12.old").touch()
    found = [path.name for path, _ in snapshots(tmp_path)]
    order = ["ep.10", "iter.250", "iter.121", "ep.2", "iter.110", "iter.50", "ep.1"]
    assert found == [f"snapshot.{name}" for name in order]
    assert "snapshot.ep.11: is cut short" in caplog.text
    assert "trying the one before" in caplog.text


def test_the_newest_of_each_kind_are_kept(tmp_path: Path) -> None:
    names = {"ep": (1, 2, 9, 10, 11), "iter": (5, 90, 95, 100, 105)}
    for kind, numbers in names.items():
        for number in numbers:
            (tmp_path / f"snapshot.{kind}.{number}").touch()
    (tmp_path / "snapshot.ep.1.old").touch()
    drop_snapshots(tmp_path, 2, last_epoch=10, last_iteration=100)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("snapshot.ep.9", "snapshot.ep.10", "snapshot.iter.95", "snapshot.iter.100"),
        *("snapshot.ep.11", "snapshot.iter.105"),  # of a run that went further
        "snapshot.ep.1.old",
    }


def test_random_numbers_go_on(tmp_path: Path) -> None:
    def draw() -> list[Any]:
        gauss = random.gauss(0, 1), np.random.normal()
        return [*gauss, random.random(), np.random.rand(), torch.rand(1).item()]

    for state in range(3):  # after an odd number of gauss() calls one is kept back
        draw()
        if state == 1:
            random.gauss(0, 1)
            np.random.normal()
        save(random_state(), tmp_path / "state")
        expected = draw()
        draw()
        set_random_state(load(tmp_path / "state"))
        assert draw() == expected


def test_leftovers_of_killed_writers_go(tmp_path: Path) -> None:
    (tmp_path / ".snapshot.ep.3.123.tmp").touch()
    (tmp_path / "log").touch()
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["log"]
