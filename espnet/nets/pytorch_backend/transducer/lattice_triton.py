"""The recursion of the Transducer lattice as one kernel, for CUDA.

Importing it needs Triton, which comes with torch for CUDA.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

NOTHING = tl.constexpr(-1e300)  # the logarithm of 0, of which a difference is a number


@triton.jit
def _add_logs(a, b):  # type: ignore[no-untyped-def]
    high = tl.maximum(a, b)
    return high + tl.log(1.0 + tl.exp(tl.minimum(a, b) - high))


@triton.jit
def _compose(up, x, next_up, next_x):  # type: ignore[no-untyped-def]
    """Two steps y -> log(exp(y + up) + exp(x)) in one."""
    return up + next_up, _add_logs(x + next_up, next_x)


@triton.jit
def _rows(  # type: ignore[no-untyped-def]
    start, along, up, found, frames, width, BLOCK: tl.constexpr
):
    """One lattice: a step for each frame, in which a scan goes over the labels."""
    row = tl.program_id(0).to(tl.int64)
    place = tl.arange(0, BLOCK)
    inside = place < width
    x = tl.where(place == 0, tl.load(start + row), NOTHING)
    offsets = row * frames * width + place
    for frame in range(frames):
        if frame > 0:
            x += tl.load(along + offsets, mask=inside, other=0.0)
        steps = tl.load(up + offsets, mask=inside, other=0.0)
        _, x = tl.associative_scan((steps, x), 0, _compose)
        tl.store(found + offsets, x, mask=inside)
        offsets += width


def scan(start: Tensor, along: Tensor, up: Tensor) -> Tensor:
    """See :func:`espnet.nets.pytorch_backend.transducer.lattice._scan`.

    Args:
        start: (B,), float64.
        along, up: (B, T, U), float64.
    """
    batch, frames, width = along.shape
    found = torch.empty_like(along, memory_format=torch.contiguous_format)
    _rows[(batch,)](
        *(start.contiguous(), along.contiguous(), up.contiguous(), found),
        *(frames, width),
        BLOCK=triton.next_power_of_2(width),
    )
    return found
