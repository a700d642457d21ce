"""Pictures and events come from another process and never disturb training."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from espnet.train import plot
from espnet.train.figures import draw_attention, draw_curves, draw_posteriors, to_png
from espnet.train.plot import Picture, Studio

PNG = b"\x89PNG"
CURVES = {"loss": ("loss", "loss_ctc"), "acc": ("acc",), "cer": ("cer",)}


def picture(path: Path, kind: str = "attention", keep: bool = False) -> Picture:
    array = np.random.default_rng(0).random((3, 8) if kind == "attention" else (8, 3))
    return Picture(path, kind, array, ["a", "$_b", "<eos>"], "utt", 5, keep)


def test_figures_for_every_form() -> None:
    figures = [
        draw_attention(np.ones((3, 8)), ["a", "b", "c"], "one"),
        draw_attention(np.ones((4, 3, 8)), ["$x", "b^", "c"], "heads"),
        draw_attention(np.ones((99, 8)), ["a"] * 99, "long"),
        draw_posteriors(np.eye(8, 5), ["<blank>", "a", "$b", "_c", "<eos>"], "ctc"),
        draw_posteriors(np.ones((1, 2)) / 2, ["<blank>", "a"], "one frame"),
        draw_curves({"main/acc": ([1, 2], [0.1, 0.2])}, "acc"),
    ]
    for figure in figures:
        png, pixels = to_png(figure)
        assert png.startswith(PNG)
        assert pixels.ndim == 3 and pixels.shape[2] == 3


def test_everything_ordered_is_there_at_the_end(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboardX") and tmp_path / "events"
    history = [
        {"epoch": 1, "main/loss": 3.0, "validation/main/loss": 4.0},
        {"epoch": 2, "main/loss": 2.0, "main/acc": 0.5},
    ]
    with Studio(str(events)) as studio:
        studio.begin(3)
        studio.scalars({"epoch": 1, "iteration": 4, "main/loss": 3.0, "eps": 1e-8})
        studio.curves(tmp_path, CURVES, history)
        for kind, keep in (("attention", True), ("ctc", False)):
            path = tmp_path / kind / "utt.ep.1.png"
            studio.post(str(path), picture(path, kind, keep))
    for name in ("loss.png", "acc.png", "attention/utt.ep.1.png", "ctc/utt.ep.1.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG), name
    assert not (tmp_path / "cer.png").exists()
    kept = np.load(tmp_path / "attention" / "utt.ep.1.npy")
    assert np.array_equal(kept, picture(tmp_path).array)
    assert not (tmp_path / "ctc" / "utt.ep.1.npy").exists()
    (file,) = events.iterdir()
    content = file.read_bytes()
    for tag in (b"main/loss", b"eps", b"utt", PNG):
        assert tag in content
    assert b"elapsed_time" not in content


def test_nothing_ordered_costs_nothing() -> None:
    with Studio("unused") as studio:
        pass
    assert studio._thread is None and not Path("unused").exists()


def test_orders_do_not_wait_and_the_last_of_a_name_wins(tmp_path: Path) -> None:
    with Studio() as studio:
        begin = time.monotonic()
        for number in range(100):
            studio.post("same", picture(tmp_path / f"{number}.png"))
        assert time.monotonic() - begin < 0.5
    made = [p.name for p in tmp_path.iterdir()]
    assert "99.png" in made and len(made) < 20


def test_a_failure_is_told_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "good.png"
    broken = dataclasses.replace(picture(path), array=np.ones(3))
    with Studio() as studio:
        for number in range(3):
            studio.post(str(number), broken)
        studio.post("good", picture(path))
    assert path.exists()
    assert capfd.readouterr().err.count("Picture not made: ") == 1


def test_earlier_epochs_give_way_where_drawing_cannot_keep_up(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(plot, "CROWDED", 3)
    large = dataclasses.replace(picture(tmp_path), array=np.ones((100, 100)), tokens=[])
    with Studio() as studio:
        for epoch in range(1, 61):
            path = tmp_path / f"utt.ep.{epoch}.png"
            studio.post(str(path), dataclasses.replace(large, path=path))
    drawn = {int(path.name.split(".")[2]) for path in tmp_path.glob("*.png")}
    assert 60 in drawn and len(drawn) < 30
    assert f"pictures of earlier epochs left out: {60 - len(drawn)};" in caplog.text
