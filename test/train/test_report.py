"""What a training prints and writes; the layout is the tutorial's."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from espnet.asr.train import COLUMNS
from espnet.train.progress import ProgressBlock
from espnet.train.report import Means, Report, Table

# section "Logging" of the tutorial, but for the columns that it leaves out
TUTORIAL = """\
epoch       iteration   main/loss   main/loss_ctc  main/loss_att  validation/main/loss  validation/main/loss_ctc  validation/main/loss_att  main/acc    validation/main/acc  elapsed_time  eps
6           89900       72.1616     94.3773        49.9459                                                                                  0.730052                         136473        1e-08
7           90000       64.2985     84.4583        44.1386        72.506                94.9823                   50.0296                   0.740617    0.72476              137936        1e-08
"""  # noqa: E501
BLOCK = """\
     total [#################.................................] 35.54%
this epoch [#####.............................................] 10.84%
     91300 iter, 7 epoch / 20 epochs
   0.71428 iters/sec. Estimated time to finish: 2 days, 16:23:34.613215.
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_table_is_the_tutorials() -> None:
    stream = io.StringIO()
    table = Table(COLUMNS, stream)
    main = {"main/loss": 72.1616, "main/loss_ctc": 94.3773, "main/loss_att": 49.9459}
    entry = {**main, "main/acc": 0.730052, "elapsed_time": 136473.2, "eps": 1e-8}
    twins = [f"validation/{name}" for name in (*main, "main/acc")]
    table.show({**entry, "epoch": 6, "iteration": 89900}, expected=twins)
    main = {"main/loss": 64.2985, "main/loss_ctc": 84.4583, "main/loss_att": 44.1386}
    valid = {"loss": 72.506, "loss_ctc": 94.9823, "loss_att": 50.0296, "acc": 0.72476}
    entry = {**main, "main/acc": 0.740617, "elapsed_time": 137936, "eps": 1e-8}
    entry.update({f"validation/main/{name}": value for name, value in valid.items()})
    table.show({**entry, "epoch": 7, "iteration": 90000})
    assert stream.getvalue() == TUTORIAL


def test_a_new_value_brings_a_new_header() -> None:
    stream = io.StringIO()
    table = Table(["epoch", "a", "b"], stream)
    for entry in (
        {"epoch": 1, "a": 2.5},
        {"epoch": 2, "b": 0.1, "unknown": 1},
        {"a": 3},
    ):
        table.show(entry)
    assert stream.getvalue().splitlines() == [
        "epoch       a",
        "1           2.5",
        "epoch       a           b",
        "2                       0.1",
        "            3",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1234567"),
        (1234567.8, "1234568"),
        (0.123456789, "0.123457"),
        (0.0, "0"),
    ],
)
def test_large_counts_keep_their_digits(value: float, text: str) -> None:
    stream = io.StringIO()
    Table(["x"], stream).show({"x": value})
    assert stream.getvalue().split() == ["x", text]


def block(stream: io.StringIO) -> ProgressBlock:
    """Where the tutorial's block stands: 91300 of some 256880 updates are done."""
    times = iter([0.0, 100 / 0.71428])
    progress = ProgressBlock(20, 12844, stream, clock=lambda: next(times))
    progress.start(91200)
    progress.show(91300, position=20 * 0.35542)
    return progress


def test_progress_in_a_file() -> None:
    stream = io.StringIO()
    block(stream)
    lines, expected = stream.getvalue().splitlines(), BLOCK.splitlines()
    assert lines[:3] == expected[:3]
    speed, _, time = lines[3].partition("Estimated")
    assert speed == expected[3].partition("Estimated")[0]
    assert time.startswith(" time to finish: 2 days, 16:")


def test_progress_on_a_terminal_is_drawn_in_place() -> None:
    stream = Terminal()
    progress = block(stream)
    text = stream.getvalue()
    assert text.startswith("\033[J") and text.endswith("\n\033[4A")
    progress.clear()
    assert stream.getvalue().endswith("\033[4A\033[J")


def test_means_leave_out_what_is_not_finite() -> None:
    means = Means()
    for values in ({"a": 1.0}, {"a": 2.0, "b": 5.0}, {"a": float("nan"), "b": 0.0}):
        means.add(values)
    assert means.result("main/") == {"main/a": 1.5, "main/b": 2.5}


def report(folder: Path, stream: io.StringIO, seen: list[Any]) -> Report:
    progress = ProgressBlock(2, 3, stream)
    progress.start(0)
    return Report(folder, Table(COLUMNS, stream), progress, listener=seen.append)


def test_log_holds_the_rows_and_a_restored_report_goes_on(tmp_path: Path) -> None:
    seen: list[Any] = []
    first = report(tmp_path, io.StringIO(), seen)
    first.observe({"loss": 3.0})
    first.observe({"loss": 1.0})
    first.row({"epoch": 0, "iteration": 2, "elapsed_time": 0.5}, {}, 0.6)
    first.observe({"loss": 0.1})
    first.row({"epoch": 1, "iteration": 3}, {"validation/main/loss": 9.0}, 1.0)
    first.close_epoch(1, {"validation/main/loss": 9.0})
    first.observe({"loss": 0.3})
    expected = [
        {"epoch": 0, "iteration": 2, "elapsed_time": 0.5, "main/loss": 2.0},
        {"epoch": 1, "iteration": 3, "main/loss": 0.1, "validation/main/loss": 9.0},
    ]
    assert json.loads((tmp_path / "log").read_text()) == expected == seen
    (tmp_path / "log").write_text("damaged")

    stream = io.StringIO()
    second = report(tmp_path, stream, seen)
    second.restore(first.state())
    assert json.loads((tmp_path / "log").read_text()) == expected
    assert "0.1" in stream.getvalue() and "0.5" not in stream.getvalue()
    assert second.history == [
        {"epoch": 1, "main/loss": (3.0 + 1.0 + 0.1) / 3, "validation/main/loss": 9.0}
    ]
    assert second.row({"epoch": 1, "iteration": 4}, {}, 1.3)["main/loss"] == 0.3
