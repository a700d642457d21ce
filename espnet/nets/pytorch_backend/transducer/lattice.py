"""The lattice of the Transducer loss (Graves, "Sequence transduction with recurrent
neural networks", 2012), in float64 whatever the model computes in.

Node (t, u) of an utterance with T frames and L labels stands for u labels read in the
first t frames; a blank leads to (t + 1, u), label u + 1 to (t, u + 1), and the blank at
(T - 1, L) ends it.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# what stands for the logarithm of 0: sums of it over thousands of frames still leave
# the digits that matter
FLOOR = -1e8


class Lattice(NamedTuple):
    """What is known of all paths.

    Attributes:
        log_likelihood: of the labels (B,), float64.
        blanks: probability (B, T, U) that a path takes the blank at a node.
        labels: likewise for the next label; 0 in the last column.
    """

    log_likelihood: Tensor
    blanks: Tensor
    labels: Tensor


def sum_over_paths(
    blanks: Tensor,
    labels: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    occupancies: bool = True,
) -> Lattice:
    """Sum over all paths, forwards and backwards.

    Args:
        blanks: log-probability of blank at each node (B, T, U), U = L + 1.
        labels: likewise of the next label; that of the last column does not matter.
        logit_lengths: T of each utterance (B,).
        target_lengths: L of each utterance (B,).
        occupancies: compute ``blanks`` and ``labels`` of the result; else they are
            empty.
    """
    batch, frames, width = blanks.shape
    device = blanks.device
    rows = torch.arange(batch, device=device)
    lengths, counts = logit_lengths.to(device), target_lengths.to(device)
    times = torch.arange(frames, device=device)[:, None]
    places = torch.arange(width, device=device)
    inside = (times < lengths[:, None, None]) & (places <= counts[:, None, None])
    blanks = blanks.double().clamp(min=FLOOR).masked_fill(~inside, 0.0)
    labels = labels.double().clamp(min=FLOOR).masked_fill(~inside, 0.0)

    # forwards, the scores of the arcs that lead into a node
    along = torch.zeros_like(blanks)
    along[:, 1:] = blanks[:, :-1]
    up = torch.zeros_like(labels)
    up[:, :, 1:] = labels[:, :, :-1]
    start = blanks.new_zeros(batch)
    if not occupancies:
        alpha = _scan(start, along, up)
        total = alpha[rows, lengths - 1, counts] + blanks[rows, lengths - 1, counts]
        return Lattice(total, blanks.new_empty(0), blanks.new_empty(0))

    # backwards from each utterance's last node, which is the first of a turned lattice
    turned = _Turned(lengths, counts, frames, width)
    end = blanks[rows, lengths - 1, counts]
    both = _scan(
        torch.cat([start, end]),
        torch.cat([along, turned(blanks)]),
        torch.cat([up, turned(labels)]),
    )
    alpha, beta = both[:batch], turned(both[batch:])
    total = alpha[rows, lengths - 1, counts] + end
    before = alpha - total[:, None, None]
    next_frame = torch.full_like(beta, -torch.inf)
    next_frame[:, :-1] = beta[:, 1:]
    next_frame.masked_fill_(times + 1 >= lengths[:, None, None], -torch.inf)
    next_frame[rows, lengths - 1, counts] = 0.0  # the last blank leads to the end
    next_label = torch.full_like(beta, -torch.inf)
    next_label[:, :, :-1] = beta[:, :, 1:]
    next_label.masked_fill_(places >= counts[:, None, None], -torch.inf)
    outside = ~inside
    by_blank = (before + blanks + next_frame).exp_().masked_fill_(outside, 0.0)
    by_label = (before + labels + next_label).exp_().masked_fill_(outside, 0.0)
    return Lattice(total, by_blank, by_label)


class _Turned:
    """Turns (B, T, U) round within each utterance's own lengths; twice gives the same.

    What stands outside is moved somewhere outside.
    """

    def __init__(
        self, lengths: Tensor, counts: Tensor, frames: int, width: int
    ) -> None:
        times = torch.arange(frames, device=lengths.device)
        places = torch.arange(width, device=lengths.device)
        time = lengths[:, None] - 1 - times
        place = counts[:, None] - places
        time = torch.where(time < 0, times, time)
        place = torch.where(place < 0, places, place)
        self.index = (time[:, :, None] * width + place[:, None, :]).flatten(1)

    def __call__(self, xs: Tensor) -> Tensor:
        return xs.flatten(1).gather(1, self.index).view_as(xs)


def _scan(start: Tensor, along: Tensor, up: Tensor) -> Tensor:
    """x(t, u) = log(exp(x(t-1, u) + along(t, u)) + exp(x(t, u-1) + up(t, u))).

    Args:
        start: x(0, 0) of each lattice (B,).
        along: (B, T, U); that of the first row does not matter.
        up: (B, T, U); that of the first column does not matter.
    """
    kernel = _kernel() if along.is_cuda else None
    return (kernel or scan_columns)(start, along, up)


def scan_columns(start: Tensor, along: Tensor, up: Tensor) -> Tensor:
    """:func:`_scan` by operations of torch.

    In a column the recursion over t is linear in the log semiring: divided by the
    product of the scores along it, it is a cumulative sum. So there are U steps and not
    T + U.
    """
    columns = along.clone()
    columns[:, 0] = 0.0
    products = columns.cumsum_(1).unbind(2)
    _, *others = up.unbind(2)
    x = start[:, None] + products[0]
    found = [x]
    for product, score in zip(products[1:], others, strict=True):
        x = product + torch.logcumsumexp(x + score - product, 1)
        found.append(x)
    return torch.stack(found, 2)


@functools.cache
def _kernel() -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """:func:`_scan` in Triton, or None where it is not there or does not work."""
    if importlib.util.find_spec("triton") is None:
        return None
    draw = torch.Generator("cuda").manual_seed(0)
    along, up = -torch.rand(
        2, 3, 9, 5, generator=draw, device="cuda", dtype=torch.double
    )
    start = along[:, 0, 0]
    try:
        from espnet.nets.pytorch_backend.transducer.lattice_triton import scan

        same = torch.allclose(scan(start, along, up), scan_columns(start, along, up))
        problem = "" if same else "its results are wrong"
    except Exception as error:  # no compiler, another version, ...: whatever it is
        problem = f"{type(error).__name__}: {error}"
    if problem:
        logging.warning(
            "the Transducer's Triton kernel does not work here (%s); the loss is"
            " computed without it, which is slower",
            problem,
        )
        return None
    return scan
