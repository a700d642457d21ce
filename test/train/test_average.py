"""Which snapshots are averaged, and to what."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from espnet.train.average import average
from espnet.train.checkpoint import save
from espnet.train.choose import choose_best, choose_last
from espnet.utils.errors import UserError

EPOCHS = range(1, 13)


def weights(number: int) -> dict[str, Tensor]:
    random = np.random.default_rng(number)
    return {
        "w": torch.from_numpy(random.normal(size=(2, 3)).astype("float32")),
        "half": torch.from_numpy(random.normal(size=4)).to(torch.bfloat16),
        "steps": torch.tensor(7 * number),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve snapshots, and a log in which even epochs are the better ones."""
    rows: list[dict[str, Any]] = []
    for epoch in EPOCHS:
        content = {"model": weights(epoch), "optimizer": {}, "trainer": {}}
        save(content, tmp_path / f"snapshot.ep.{epoch}")
        rows.append({"epoch": epoch - 1, "main/acc": 0.9})
        good = epoch % 2 == 0
        rows.append(
            {
                "epoch": epoch,
                "validation/main/acc": epoch / 12 if good else 0.0,
                "validation/main/loss": epoch,
                "val_perplexity": 0 if epoch == 5 else 20 - epoch,
            }
        )
        # a validation inside the next epoch is not this one's
        rows.append({"epoch": epoch, "validation/main/acc": 0.99})
    (tmp_path / "log").write_text(json.dumps(rows))
    return tmp_path


def numbers(paths: tuple[Path, ...]) -> list[int]:
    return [int(path.suffix[1:]) for path in paths]


def files(folder: Path, names: str = "snapshot.ep.*") -> list[Path]:
    return sorted(folder.glob(names))  # 1, 10, 11, 12, 2, ...


def test_the_mean_is_numpys(folder: Path) -> None:
    found = average(files(folder))
    parts = [weights(epoch) for epoch in EPOCHS]
    for name in ("w", "half"):
        stack = np.stack([part[name].double().numpy() for part in parts])
        exact = torch.from_numpy(stack.mean(0)).to(parts[0][name].dtype)
        assert torch.equal(found[name], exact)
    assert found["steps"].dtype == torch.int64
    assert found["steps"] == 7 * sum(EPOCHS) // 12  # 45.5 without its half


def test_snapshots_and_bare_weights_are_alike(folder: Path) -> None:
    save(weights(3), folder / "model.acc.best")
    found = average([folder / "model.acc.best", folder / "snapshot.ep.3"])
    assert all(torch.equal(found[name], weights(3)[name]) for name in found)


def test_last_goes_by_epoch_not_by_time(folder: Path) -> None:
    os.utime(folder / "snapshot.ep.1")
    choice = choose_last(files(folder), 3)
    assert numbers(choice.paths) == [10, 11, 12]
    assert choice.reason == "the last 3 of 12"
    assert numbers(choose_last(files(folder), 3, max_epoch=9).paths) == [7, 8, 9]


def test_last_of_names_without_numbers_goes_by_time(folder: Path) -> None:
    for age, name in enumerate(("b", "c", "a")):
        save(weights(age), folder / name)
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    choice = choose_last([folder / name for name in "abc"], 2)
    assert [path.name for path in choice.paths] == ["c", "b"]


def test_fewer_than_wanted_are_told(folder: Path) -> None:
    choice = choose_last(files(folder), 20)
    assert numbers(choice.paths) == [*EPOCHS]
    assert choice.reason == "the last 12 (20 were wanted)"


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("", [8, 10, 12]),
        ("acc", [8, 10, 12]),
        ("loss", [3, 2, 1]),
        ("perplexity", [11, 12, 5]),
    ],
)
def test_best_goes_by_the_log(folder: Path, metric: str, best: list[int]) -> None:
    choice = choose_best(folder, folder / "log", 3, metric)
    assert numbers(choice.paths) == best
    assert choice.reason.startswith(
        f"the best 3 of 12 by validation {metric or 'acc'}: epochs {best[-1]} ("
    )


def test_best_of_those_that_were_kept(folder: Path) -> None:
    for epoch in (2, 8, 12):
        (folder / f"snapshot.ep.{epoch}").unlink()
    choice = choose_best(folder, folder / "log", 3, max_epoch=11)
    assert numbers(choice.paths) == [4, 6, 10]
    assert "the best 3 of 9 by" in choice.reason


def test_of_equals_the_later_ones(folder: Path) -> None:
    rows = [{"epoch": n, "validation/main/acc": 0.5} for n in EPOCHS]
    (folder / "log").write_text(json.dumps(rows))
    assert numbers(choose_best(folder, folder / "log", 2).paths) == [11, 12]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"val_perplexity": 3.0, "validation/main/loss": 1.0}, "perplexity"),
        ({"validation/main/loss": 1.0, "validation/main/cer": 0.1}, "loss"),
        ({"validation/main/acc": float("nan"), "validation/main/loss": 1.0}, "loss"),
    ],
)
def test_metric_that_is_not_named(folder: Path, row: dict, name: str) -> None:
    (folder / "log").write_text(json.dumps([{"epoch": 1, **row}]))
    assert f"validation {name}:" in choose_best(folder, folder / "log", 1).reason


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (None, "cannot be read: No such file"),
        ("[{", "not valid JSON"),
        ("{}", "is no log of a training"),
        ('[{"iteration": 3}]', "is no log of a training"),
        ("[]", "has no validation cer; it has no validation at all"),
        (
            '[{"epoch": 1, "validation/main/loss": 1}]',
            "has no validation cer; it has loss",
        ),
        (
            '[{"epoch": 30, "validation/main/cer": 1}]',
            "has no snapshot.ep.N of the 1 epochs in",
        ),
    ],
)
def test_logs_that_do_not_say(folder: Path, log: str | None, words: str) -> None:
    path = folder / "log"
    path.unlink()
    if log is not None:
        path.write_text(log)
    with pytest.raises(UserError) as error:
        choose_best(folder, path, 3, "cer")
    assert words in str(error.value) and str(path) in str(error.value)


def test_snapshots_that_are_not_there(folder: Path) -> None:
    with pytest.raises(UserError, match=r"snapshot.ep.13: no such file"):
        choose_last([*files(folder), folder / "snapshot.ep.13"], 2)
    with pytest.raises(UserError, match="none is of an epoch up to 0"):
        choose_last(files(folder), 2, max_epoch=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w": torch.ones(3, 2)}, "parameter 'w' has shape (3, 2), there (2, 3)"),
        ({"extra": torch.ones(1)}, "parameter 'extra' is only in {odd}"),
        ({"w": None}, "parameter 'w' is only in {first}"),
    ],
)
def test_files_of_different_models(
    folder: Path, change: dict[str, Any], words: str
) -> None:
    first, odd = folder / "snapshot.ep.1", folder / "odd"
    content = {**weights(1), **change}
    save({name: value for name, value in content.items() if value is not None}, odd)
    with pytest.raises(UserError) as error:
        average([first, odd])
    message = f"{odd}: is of another model than {first}: {words}"
    assert str(error.value) == message.format(odd=odd, first=first)


def test_a_damaged_file_is_named(folder: Path) -> None:
    path = folder / "snapshot.ep.12"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"snapshot.ep.12: is cut short"):
        average(files(folder))
