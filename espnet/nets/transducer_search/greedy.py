"""Greedy search: at most one label per frame, all utterances at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espnet.nets.scorer_interface import TransducerScorer
from espnet.nets.transducer_search.driver import BLANK, START, Hyp

FRAMES_AHEAD = 4  # that are looked at before the next label is known


def greedy(
    scorer: TransducerScorer, memory: Tensor, lengths: Tensor, temperature: float = 1.0
) -> list[Hyp]:
    """The best symbol of each frame; blanks do not count in the score.

    The loop is over labels, not frames: each utterance goes on to its own next label,
    of which there are far fewer (Xu et al., "Label-looping", 2024).

    Args:
        scorer: of the model.
        memory: encoder output (B, T, E).
        lengths: frames (B,).
        temperature: what logits are divided by.
    """
    frames = scorer.frames(memory)
    batch, device = len(frames), frames.device
    ends = lengths.to(device)
    prefixes = [START] * batch
    scores = torch.zeros(batch, dtype=torch.float64, device=device)
    states: list[Any] = [scorer.initial() for _ in range(batch)]
    vectors, states = scorer.read(prefixes, states)
    places = torch.zeros_like(ends)
    ahead = torch.arange(FRAMES_AHEAD, device=device)
    active = torch.arange(batch, device=device)
    while len(active):
        window = places[active, None] + ahead
        inside = window < ends[active, None]
        chosen = frames[active[:, None], window.clamp(max=frames.shape[1] - 1)]
        logits = scorer.logits(chosen, vectors[active, None])
        labels = logits.argmax(-1)
        spoken = (labels != BLANK) & inside
        first = spoken.int().argmax(1)
        found = spoken.any(1)
        step = torch.where(found, first + 1, FRAMES_AHEAD)
        places[active] += step
        rows = active[found]
        if len(rows):
            at = first[found]
            best = labels[found, at]
            row_logits = logits[found, at] / temperature
            precise = torch.promote_types(logits.dtype, torch.float32)
            log_probs = row_logits.log_softmax(-1, dtype=precise)
            scores[rows] += log_probs.gather(1, best[:, None])[:, 0].double()
            numbers = rows.tolist()
            for row, label in zip(numbers, best.tolist(), strict=True):
                prefixes[row] = (*prefixes[row], label)
            vectors[rows], new = scorer.read(
                [prefixes[row] for row in numbers], [states[row] for row in numbers]
            )
            for row, state in zip(numbers, new, strict=True):
                states[row] = state
        active = active[places[active] < ends[active]]
    return [Hyp(*pair) for pair in zip(prefixes, scores.tolist(), strict=True)]
