"""A recogniser of a few parameters, as a plug-in of tests: ``tiny_recogniser:E2E``.

It has dropout, so that random numbers matter. Its options, and variables that name one
of a process's forward passes, can make it fail.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from argparse import Namespace
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from espnet.nets.asr_interface import ASRInterface
from espnet.utils.options import option, read_config


@dataclass(frozen=True)
class TinyOptions:
    units: int = option(8, "hidden units")
    step: int = option(1, "frames per encoder frame")
    transformer_lr: float = option(0.5, "factor on noam's learning rate")
    transformer_warmup_steps: int = option(5, "updates until it falls")
    adim: int = option(8, "its dimension")
    nan_from: int = option(-1, "training minibatch whose loss becomes NaN")
    nan_until: int = option(-1, "the last such one")


class CTC(torch.nn.Module):
    def __init__(self, units: int, odim: int) -> None:
        super().__init__()
        self.ctc_lo = torch.nn.Linear(units, odim)

    def log_softmax(self, hs: Tensor) -> Tensor:
        return self.ctc_lo(hs).log_softmax(-1)


class E2E(ASRInterface):
    Config = TinyOptions
    passes = 0  # of this process
    seen = 0  # those in training

    def __init__(self, idim: int, odim: int, args: Namespace) -> None:
        super().__init__()
        self.options = read_config(TinyOptions, args)
        self.mtlalpha = getattr(args, "mtlalpha", 0.5)
        self.hidden = torch.nn.Linear(idim, self.options.units)
        self.dropout = torch.nn.Dropout(0.2)
        self.ctc = CTC(self.options.units, odim)

    def encode_batch(self, xs_pad: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        step = self.options.step
        hs = self.dropout(torch.tanh(self.hidden(xs_pad[:, ::step])))
        return hs, torch.div(ilens + step - 1, step, rounding_mode="floor")

    def forward(self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor) -> Tensor:
        E2E.passes += 1
        if _is_due("TINY_KILL_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
        if _is_due("TINY_TERM_AT"):
            _terminate_all()
        if _is_due("TINY_MEMORY_AT"):
            raise torch.OutOfMemoryError("CUDA out of memory")
        if _is_due("TINY_FAIL_AT"):
            raise ZeroDivisionError("a mistake in a plug-in")
        if _is_due("TINY_SLEEP_AT"):
            time.sleep(1.5)
        hs, hlens = self.encode_batch(xs_pad, ilens)
        log_p = self.ctc.log_softmax(hs)
        loss = torch.nn.functional.ctc_loss(
            log_p.transpose(0, 1),
            ys_pad.clamp(min=0),
            hlens,
            (ys_pad >= 0).sum(1),
            reduction="sum",
            zero_infinity=True,
        ) / len(xs_pad)
        if self.training:
            E2E.seen += 1
            if self.options.nan_from <= E2E.seen <= self.options.nan_until:
                loss = loss * float("nan")
        if _is_due("TINY_NAN_AT"):
            loss = loss * float("nan")
        frames = log_p.argmax(-1)[:, :1]
        self.reported = {"loss": loss.detach(), "loss_ctc": loss.item()}
        if self.mtlalpha < 1:
            self.reported["acc"] = (frames == ys_pad[:, :1]).float().mean()
        return loss

    def scorers(self) -> dict:
        return {}

    def calculate_all_attentions(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> dict[str, np.ndarray]:
        shape = (len(xs_pad), ys_pad.shape[1] + 1, xs_pad.shape[1])
        return {"att": np.full(shape, 1 / xs_pad.shape[1], dtype=np.float32)}

    def calculate_all_ctc_probs(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> np.ndarray:
        hs, _ = self.encode_batch(xs_pad, ilens)
        return self.ctc.log_softmax(hs).exp().numpy()

    def get_total_subsampling_factor(self) -> int:
        return self.options.step


def _terminate_all() -> None:
    """Ask this process and its children to end, as a queue does: from outside."""
    pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    kill = "kill -TERM " + " ".join(map(str, pids))
    subprocess.run(["bash", "-c", kill], check=True)


def _is_due(variable: str) -> bool:
    return E2E.passes == int(os.environ.get(variable, -1))
