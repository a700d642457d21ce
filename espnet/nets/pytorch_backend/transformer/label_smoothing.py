"""The loss of Transformer decoders."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet.nets.pytorch_backend.nets_utils import IGNORE


def smoothed_divergence(logits: Tensor, ys_out: Tensor, weight: float) -> Tensor:
    """Kullback-Leibler divergence from smoothed labels, summed over all of them.

    Args:
        logits: (B, U, V).
        ys_out: labels (B, U), padded with -1.
        weight: share of each label's probability that the V - 1 other symbols get.
    """
    precise = torch.promote_types(logits.dtype, torch.float32)
    log_probs = F.log_softmax(logits, -1, dtype=precise).flatten(0, 1)
    labels = ys_out.flatten()
    loss = F.nll_loss(log_probs, labels, ignore_index=IGNORE, reduction="sum")
    if weight == 0.0:
        return loss
    share = weight / (logits.shape[-1] - 1)
    valid = labels != IGNORE
    others = log_probs.sum(-1).masked_fill(~valid, 0.0).sum()
    entropy = weight * math.log(share)
    if weight < 1.0:
        entropy += (1.0 - weight) * math.log1p(-weight)
    return (1.0 - weight - share) * loss - share * others + entropy * valid.sum()
