"""Losses of language models, as ESPnet1 defines each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet.nets.lm_interface import IGNORE
from espnet.nets.pytorch_backend.sharing import parts, shared_count, shared_sum


def token_losses(logits: Tensor, t: Tensor) -> Tensor:
    """Negative log-probabilities (B, L) of targets t (B, L), 0 where there is none.

    Args:
        logits: (B, L, V).
        t: padded with -100.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)  # 16 bits are too coarse
    flat = F.cross_entropy(
        logits.flatten(0, 1).to(exact),
        t.flatten(),
        ignore_index=IGNORE,
        reduction="none",
    )
    return flat.view_as(t)


def mean_over_tokens(
    logits: Tensor, x: Tensor, t: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss per token, the sum and the number of tokens; see ``LMInterface.forward``."""
    count = (x != 0).sum()
    total = (token_losses(logits, t) * (x != 0)).sum()
    return total / shared_count(count), total, count


def mean_over_sentences(
    logits: Tensor, x: Tensor, t: Tensor, share: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss per sentence, the sum and the number of tokens.

    With ``share`` step i weighs by the share of the sentences that reach it, as ESPnet1
    has it; for sentences of equal length that is the same.
    """
    reached = (x != 0).sum(0)
    losses = token_losses(logits, t).sum(0)
    if share:  # parts of a minibatch are padded to the same length
        losses = losses * shared_sum(reached) / (shared_count(len(x)) * parts())
    total = losses.sum()
    return total / shared_count(len(x)), total, reached.sum()
