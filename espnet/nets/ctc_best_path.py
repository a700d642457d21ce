"""CTC best path: the best label of each frame, repeats merged, blanks dropped."""

from __future__ import annotations

import torch
from torch import Tensor


def ctc_best_path(
    log_probs: Tensor, lengths: Tensor, blank: int = 0
) -> tuple[list[list[int]], list[float]]:
    """The labels along the most probable path of each utterance.

    Args:
        log_probs: log-posteriors (B, T, V).
        lengths: valid frames (B,).
        blank: id of blank.

    Returns:
        Labels of each utterance and the log-probability of its path.
    """
    best, labels = log_probs.max(-1)
    frames = torch.arange(log_probs.shape[1], device=log_probs.device)
    valid = frames < lengths.to(log_probs.device)[:, None]
    changes = torch.ones_like(valid)
    changes[:, 1:] = labels[:, 1:] != labels[:, :-1]
    spoken = valid & changes & (labels != blank)
    scores = best.double().masked_fill(~valid, 0.0).sum(-1)
    rows = zip(labels.cpu(), spoken.cpu(), strict=True)
    return [row[kept].tolist() for row, kept in rows], scores.tolist()
