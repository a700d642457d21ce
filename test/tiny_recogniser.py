"""A recogniser of a few parameters, as a plug-in of tests: ``tiny_recogniser:E2E``.

It has dropout, so that random numbers matter, and its options can make it fail.
"""

from __future__ import annotations

import os
import signal
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
        if E2E.passes == int(os.environ.get("TINY_KILL_AT", -1)):
            os.kill(os.getpid(), signal.SIGKILL)
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
