"""What the training loop is told, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Reaction:
    """What happens to Adadelta after an epoch that was worse than the best.

    Attributes:
        metric: of ``TrainerOptions.best``.
        put_back: load the best weights.
        eps_decay: factor on epsilon.
    """

    metric: str
    put_back: bool
    eps_decay: float


@dataclass(frozen=True)
class TrainerOptions:
    """Numbers of the loop.

    Attributes:
        outdir: where everything is written.
        epochs: at most.
        accum_grad: minibatches per update.
        grad_clip: largest norm of the gradient; 0: no limit.
        grad_noise: add noise that fades out to gradients.
        report_interval: updates between two rows of the log.
        save_interval: updates between two snapshots inside an epoch; 0: none.
        keep_snapshots: newest snapshots of each kind that are kept; 0: all.
        best: file ``model.<name>.best`` -> (log key, whether higher is better).
        reaction: to epochs that are worse.
        seed: of the noise.
        max_nan_steps: updates in a row that may not be finite.
        watchdog: seconds without a step after which stacks are printed; 0: never.
        rehearse: begin with the largest minibatches, without an update.
    """

    outdir: Path
    epochs: int
    accum_grad: int = 1
    grad_clip: float = 5.0
    grad_noise: bool = False
    report_interval: int = 100
    save_interval: int = 0
    keep_snapshots: int = 0
    best: Mapping[str, tuple[str, bool]] | None = None
    reaction: Reaction | None = None
    seed: int = 0
    max_nan_steps: int = 20
    watchdog: float = 0.0
    rehearse: bool = False


@dataclass(frozen=True)
class Precision:
    """Where and in which number format the model computes.

    Attributes:
        device: of the model.
        dtype: of parameters and features.
        autocast: format of the operations that bear 16 bits.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    autocast: torch.dtype | None = None


@dataclass
class Position:
    """How far training is.

    Attributes:
        epoch: epochs done.
        batch: minibatches done of the running one.
        iteration: updates done.
        elapsed: seconds, those before an interruption included.
        origin: the snapshot that ``--resume`` named, if any.
    """

    epoch: int = 0
    batch: int = 0
    iteration: int = 0
    elapsed: float = 0.0
    origin: str = ""
