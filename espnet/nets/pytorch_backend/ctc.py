"""Connectionist temporal classification (Graves et al., 2006)."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import IGNORE, label_lengths
from espnet.nets.pytorch_backend.sharing import shared_count

BLANK = 0


class CTC(nn.Module):
    """A linear layer over encoder frames, and the CTC loss.

    Attributes:
        impossible: utterances met so far whose labels need more frames than there are;
            they add nothing to the loss.
    """

    def __init__(self, odim: int, eprojs: int, dropout_rate: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout_rate)
        self.ctc_lo = Linear(eprojs, odim)
        self.impossible = 0

    def forward(
        self, hs_pad: Tensor, hlens: Tensor, ys_pad: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss, summed over utterances and divided by B, and the best path.

        Args:
            hs_pad: encoder output (B, T, E).
            hlens: valid frames (B,), on the CPU where that is possible.
            ys_pad: labels (B, L), padded with -1; likewise.

        Returns:
            A scalar, and the most likely symbol of each frame (B, T), without dropout.
        """
        logits = self.ctc_lo(self.dropout(hs_pad))
        loss = ctc_loss(logits, hlens, ys_pad)
        self.count_impossible(hlens, ys_pad)
        noisy = self.training and self.dropout.p > 0
        return loss, self.argmax(hs_pad) if noisy else logits.argmax(-1)

    def loss(self, hs_pad: Tensor, hlens: Tensor, ys_pad: Tensor) -> Tensor:
        """The loss alone, as ``forward`` gives it."""
        return ctc_loss(self.ctc_lo(self.dropout(hs_pad)), hlens, ys_pad)

    def log_softmax(self, hs_pad: Tensor) -> Tensor:
        """Log-posteriors (B, T, V) of the symbols."""
        return F.log_softmax(self.ctc_lo(hs_pad), -1)

    def softmax(self, hs_pad: Tensor) -> Tensor:
        """Posteriors (B, T, V) of the symbols."""
        return F.softmax(self.ctc_lo(hs_pad), -1)

    @torch.no_grad()
    def argmax(self, hs_pad: Tensor) -> Tensor:
        """The most likely symbol of each frame (B, T)."""
        return self.ctc_lo(hs_pad).argmax(-1)

    def count_impossible(self, hlens: Tensor, ys_pad: Tensor) -> None:
        """Count the utterances with more labels (B, L) than frames (B,)."""
        hlens, ys_pad = hlens.cpu(), ys_pad.cpu()
        repeats = (ys_pad[:, 1:] == ys_pad[:, :-1]) & (ys_pad[:, 1:] != IGNORE)
        needed = label_lengths(ys_pad) + repeats.sum(1)  # a blank parts equal labels
        found = int((needed > hlens).sum())
        if found and not self.impossible:
            logging.warning(
                "%d of %d utterances in a batch have more labels than the encoder has"
                " frames, and add nothing to the CTC loss; this is said once",
                *(found, len(hlens)),
            )
        self.impossible += found


def ctc_loss(logits: Tensor, hlens: Tensor, ys_pad: Tensor) -> Tensor:
    """The CTC loss of logits (B, T, V), summed over utterances and divided by B.

    An utterance with more labels than frames adds nothing.
    """
    low = logits.dtype in (torch.float16, torch.bfloat16)
    log_probs = F.log_softmax(logits, -1, dtype=torch.float32 if low else None)
    lengths = label_lengths(ys_pad)
    targets = ys_pad[ys_pad != IGNORE]
    how: AbstractContextManager[None] = nullcontext()
    if logits.is_cuda:  # this combination is what lets torch take cuDNN's loss
        targets, hlens, lengths = (
            t.to(logits.device, torch.int32, non_blocking=True)
            for t in (targets, hlens, lengths)
        )
        # pytorch issue 17798: cuDNN's other algorithm has wrong gradients
        how = torch.backends.cudnn.flags(enabled=True, deterministic=True)
    with how:
        total = F.ctc_loss(
            log_probs.transpose(0, 1),
            *(targets, hlens, lengths),
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )
    return total / shared_count(len(ys_pad))


def collapsed(path: Tensor, hlens: Tensor) -> list[list[int]]:
    """The labels of paths (B, T) over hlens (B,) frames: repeats and blanks go."""
    labels = []
    for row, length in zip(path, hlens.tolist(), strict=True):
        ids = torch.unique_consecutive(row[:length]).tolist()
        labels.append([i for i in ids if i != BLANK])
    return labels
