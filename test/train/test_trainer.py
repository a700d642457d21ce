"""The loop, on a model that can be computed by hand."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet.data.collate import Batch
from espnet.train.checkpoint import load_snapshot, snapshots
from espnet.train.optimizer import Optimization
from espnet.train.progress import ProgressBlock
from espnet.train.report import Report, Table
from espnet.train.settings import Precision, Reaction, TrainerOptions
from espnet.train.trainer import Trainer
from espnet.train.watch import EarlyStopping
from espnet.utils.errors import UserError

BEST = {"loss": ("validation/main/loss", False), "acc": ("validation/main/acc", True)}


class Line(torch.nn.Module):
    """Loss ``w * x``: its gradient is the batch's number x."""

    def __init__(self, accuracies: list[float] | None = None) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.0))
        self.reported: dict[str, Any] = {}
        self.accuracies = iter(accuracies or [])

    def forward(self, xs: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        x = xs.mean()
        loss = self.w * x
        self.reported = {"loss": loss.detach(), "x": x}
        if not self.training:
            self.reported["acc"] = next(self.accuracies, 0.5)
        return loss


class Numbers:
    """A loader whose batches hold one number each."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for i, number in list(enumerate(self.numbers))[start:]:
            one = torch.ones(1, dtype=torch.long)
            yield Batch((f"utt{i}",), torch.full((1, 1, 1), number), one, one[None])

    def largest(self) -> Iterator[Batch]:
        return self.epoch(0, self.numbers.index(max(self.numbers)))

    def fingerprint(self) -> int:
        return len(self.numbers)


def make(
    outdir: Path,
    model: Line,
    numbers: list[float],
    optimizer: torch.optim.Optimizer | None = None,
    stop: EarlyStopping | None = None,
    autocast: torch.dtype | None = None,
    **options: Any,
) -> Trainer:
    made = Optimization(
        optimizer or torch.optim.SGD(model.parameters(), lr=1.0),
        has_eps_decay=optimizer is not None,
    )
    stream = io.StringIO()
    settings: dict[str, Any] = {"epochs": 1, "best": BEST, "grad_clip": 0.0, **options}
    loop = TrainerOptions(outdir=outdir, **settings)
    updates = -(-len(numbers) // loop.accum_grad)
    progress = ProgressBlock(loop.epochs, updates, stream)
    columns = ("epoch", "iteration", "main/loss", "validation/main/loss")
    return Trainer(
        model,
        made,
        Numbers(numbers),  # type: ignore[arg-type]
        Numbers([1.0]),  # type: ignore[arg-type]
        Report(outdir, Table(columns, stream), progress),
        stop or EarlyStopping(None, 0),
        loop,
        Precision(torch.device("cpu"), autocast=autocast),
    )


def log_of(outdir: Path) -> list[dict[str, Any]]:
    return json.loads((outdir / "log").read_text())


@pytest.mark.parametrize(
    ("accum", "weights_after_updates"),
    [
        (1, [-1.0, -3.0, -6.0, -10.0, -15.0]),
        (2, [-1.5, -5.0, -7.5]),  # the last one stands alone and is halved too
        (9, [-15 / 9]),
    ],
)
def test_accumulation_and_its_rest(
    tmp_path: Path, accum: int, weights_after_updates: list[float]
) -> None:
    model = Line()
    trainer = make(tmp_path, model, [1, 2, 3, 4, 5], accum_grad=accum)
    seen: list[float] = []
    trainer.optimizer.register_step_post_hook(lambda *_: seen.append(model.w.item()))
    trainer.run()
    assert seen == pytest.approx(weights_after_updates)
    assert trainer.position.iteration == len(seen)


def test_gradients_are_clipped_by_their_norm(tmp_path: Path) -> None:
    model = Line()
    make(tmp_path, model, [0.5, 30.0], grad_clip=2.0).run()
    assert model.w.item() == pytest.approx(-0.5 - 2.0)


def test_noise_fades_out(tmp_path: Path) -> None:
    """sigma = 1 / (iteration // 100 + 1) ** 0.55."""
    for iteration, sigma in ((0, 1.0), (99, 1.0), (100, 2**-0.55), (950, 10**-0.55)):
        model = Line()
        model.w = torch.nn.Parameter(torch.zeros(20000))
        trainer = make(tmp_path, model, [0.0])
        trainer.position.iteration = iteration
        model.w.grad = torch.zeros(20000)
        trainer._add_noise()
        assert model.w.grad.std().item() == pytest.approx(sigma, rel=0.03)
        assert model.w.grad.mean().item() == pytest.approx(0.0, abs=0.03)


def test_noise_is_not_lost_in_the_scale_of_float16(tmp_path: Path) -> None:
    """The first step is that of float32: gradient 3 and the same noise."""
    steps = []
    for kind in (None, torch.float16):
        model = Line()
        make(tmp_path, model, [3.0], autocast=kind, grad_noise=True).run()
        steps.append(model.w.item())
    assert steps[0] != -3.0 and steps[1] == pytest.approx(steps[0], rel=1e-3)


def test_rows_of_the_log(tmp_path: Path) -> None:
    """A row every second update and at each epoch's end, with means since the last."""
    model = Line()
    make(tmp_path, model, [1, 2, 3], epochs=2, report_interval=2).run()
    rows = log_of(tmp_path)
    assert [(r["epoch"], r["iteration"]) for r in rows] == [
        (0, 2),
        (1, 3),
        (1, 4),
        (2, 6),
    ]
    assert [r["main/x"] for r in rows] == [1.5, 3.0, 1.0, 2.5]
    assert [r.get("validation/main/loss") for r in rows] == [None, -6.0, None, -12.0]


def test_a_run_shorter_than_the_interval_has_its_row(tmp_path: Path) -> None:
    make(tmp_path, Line(), [1]).run()
    (row,) = log_of(tmp_path)
    assert row["validation/main/loss"] == -1.0 and row["main/loss"] == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_step_is_left_out_and_named(
    tmp_path: Path, bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    model = Line()
    trainer = make(tmp_path, model, [1, bad, 3])
    with caplog.at_level(logging.WARNING):
        trainer.run()
    assert model.w.item() == -4.0
    assert trainer.guard.skipped == 1 and trainer.position.iteration == 3
    assert "update left out (1 so far); utterances: utt1" in caplog.text
    assert log_of(tmp_path)[0]["main/x"] == 2.0


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1, float("nan"), 3], "1 update left out as not finite"),
        ([float("nan"), float("nan"), 3], "2 updates left out as not finite"),
    ],
)
def test_the_end_counts_bad_steps(
    tmp_path: Path, numbers: list[float], words: str
) -> None:
    trainer = make(tmp_path, Line(), numbers)
    trainer.run()
    text = trainer.report.table.stream.getvalue()  # type: ignore[attr-defined]
    assert f"(all epochs done, {words})" in text


@pytest.mark.parametrize(
    ("most", "words"), [(1, "stopped: 1 update in a row"), (2, "2 updates in a row")]
)
def test_a_stop_counts_bad_steps(tmp_path: Path, most: int, words: str) -> None:
    trainer = make(tmp_path, Line(), [float("nan")] * 2, max_nan_steps=most)
    with pytest.raises(UserError, match=words):
        trainer.run()


def test_snapshots_inside_epochs_go_too(tmp_path: Path) -> None:
    """Also in the midst of an epoch; the newest is one to go on from."""
    trainer = make(
        *(tmp_path, Line(), [1.0] * 5), epochs=3, save_interval=1, keep_snapshots=2
    )
    seen: set[int] = set()
    trainer.optimizer.register_step_post_hook(
        lambda *_: seen.add(len([*tmp_path.glob("snapshot.iter.*")]))
    )
    trainer.run()
    assert seen == {0, 1, 2}
    names = {path.name for path in tmp_path.glob("snapshot.*")}
    assert names == {f"snapshot.{n}" for n in ("ep.2", "ep.3", "iter.13", "iter.14")}
    newest = [path.name for path, _ in snapshots(tmp_path)]
    assert newest == [f"snapshot.{n}" for n in ("ep.3", "iter.14", "iter.13", "ep.2")]


def test_only_the_bad_batch_of_an_update_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Line()
    make(tmp_path, model, [1, float("nan"), 3, 4], accum_grad=2).run()
    assert "utterances: utt1" in caplog.text and "utt0" not in caplog.text
    assert model.w.item() == -3.5


def test_many_bad_steps_end_the_training(tmp_path: Path) -> None:
    trainer = make(tmp_path, Line(), [float("nan")] * 5, max_nan_steps=3)
    with pytest.raises(UserError) as error:
        trainer.run()
    message = str(error.value)
    assert "3 updates in a row" in message and "utt2" in message
    assert "lower the learning rate" in message


@pytest.mark.parametrize(
    ("put_back", "weights", "epsilons"),
    [
        (True, [-1.0, -1.0, -2.0, -2.0], [1.0, 0.1, 0.1, 0.01]),
        (False, [-1.0, -2.0, -3.0, -4.0], [1.0, 0.1, 0.1, 0.01]),
    ],
)
def test_worse_epochs_put_the_best_back_and_shrink_eps(
    tmp_path: Path, put_back: bool, weights: list[float], epsilons: list[float]
) -> None:
    class Steps(torch.optim.SGD):
        """SGD with Adadelta's option."""

        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, lr=1.0)
            self.param_groups[0]["eps"] = 1.0

    model = Line(accuracies=[0.5, 0.4, 0.6, 0.1])  # 2nd and 4th epoch are worse
    reaction = Reaction("acc", put_back, eps_decay=0.1)
    optimizer = Steps(model.parameters())
    make(tmp_path, model, [1.0], optimizer, epochs=4, reaction=reaction).run()
    snapshots = [
        torch.load(tmp_path / f"snapshot.ep.{epoch}", weights_only=True)
        for epoch in (1, 2, 3, 4)
    ]
    assert [s["model"]["w"].item() for s in snapshots] == weights
    assert [row["eps"] for row in log_of(tmp_path)] == pytest.approx(epsilons)
    best = torch.load(tmp_path / "model.acc.best", weights_only=True)
    assert best["w"].item() == weights[2]


def test_early_stop_ends_the_run(tmp_path: Path) -> None:
    model = Line(accuracies=[0.1, 0.5, 0.3, 0.2, 0.9])
    stop = EarlyStopping("validation/main/acc", 2)
    trainer = make(tmp_path, model, [1.0], epochs=9, stop=stop)
    trainer.run()
    assert trainer.position.epoch == 4
    text = trainer.report.table.stream.getvalue()  # type: ignore[attr-defined]
    assert (
        "complete after 4 of 9 epochs (2 without a better validation/main/acc)" in text
    )


def test_no_accuracy_no_model_for_it(tmp_path: Path) -> None:
    class Silent(Line):
        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            loss = super().forward(*inputs)
            self.reported.pop("acc", None)
            return loss

    make(tmp_path, Silent(), [1.0]).run()
    assert (tmp_path / "model.loss.best").exists()
    assert not (tmp_path / "model.acc.best").exists()


def test_exhausted_memory_names_the_batch(tmp_path: Path) -> None:
    class Greedy(Line):
        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(UserError) as error:
        make(tmp_path, Greedy(), [1.0]).run()
    assert "1 utterances of up to 1 frames and 1 labels: utt0" in str(error.value)
    assert "lower --batch-size" in str(error.value)


def test_hooks_see_each_epoch(tmp_path: Path) -> None:
    trainer = make(tmp_path, Line(), [1, 2], epochs=3)
    seen: list[tuple[int, int]] = []
    trainer.hooks = [lambda *position: seen.append(position)]
    trainer.run()
    assert seen == [(1, 2), (2, 4), (3, 6)]


def test_float16_shrinks_its_scale_instead_of_complaining(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gradient that only the scale of the loss makes infinite is nobody's fault."""
    model = Line()
    trainer = make(tmp_path, model, [1.0, 1e35, 2.0], autocast=torch.float16)
    assert trainer.scaler.get_scale() == 2.0**16
    with caplog.at_level(logging.WARNING):
        trainer.run()
    assert model.w.item() == -3.0 and not caplog.records
    assert trainer.scaler.get_scale() == 2.0**15
    again = make(tmp_path, Line(), [1.0], autocast=torch.float16)
    again.restore(load_snapshot(tmp_path / "snapshot.ep.1"), "snapshot.ep.1")
    assert again.scaler.get_scale() == 2.0**15 and again.model.w.item() == -3.0


def test_bfloat16_needs_no_scale(tmp_path: Path) -> None:
    model = Line()
    make(tmp_path, model, [1.0, 2.0], autocast=torch.bfloat16).run()
    assert model.w.item() == -3.0
