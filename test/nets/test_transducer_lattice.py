"""The lattice's recursion in its two forms."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from espnet.nets.pytorch_backend.transducer import lattice
from espnet.nets.pytorch_backend.transducer.lattice import FLOOR, scan_columns

IN_THE_INTERPRETER = """
import sys
import torch
from espnet.nets.pytorch_backend.transducer.lattice_triton import scan

cases = torch.load(sys.argv[1])
torch.save([scan(*case) for case in cases], sys.argv[1])
"""


def case(batch: int, frames: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(frames)
    along, up = torch.randn(
        2, batch, frames, width, generator=draw, dtype=torch.double
    ) - torch.tensor(1.0)
    along[0, frames // 2, width // 2] = FLOOR
    return torch.randn(batch, generator=draw, dtype=torch.double), along, up


CASES = [case(2, 5, 4), case(3, 1, 1), case(1, 7, 9), case(2, 6, 1), case(1, 1, 5)]


def step_by_step(start: Tensor, along: Tensor, up: Tensor) -> Tensor:
    found = torch.empty_like(along)
    for b, t, u in torch.cartesian_prod(*map(torch.arange, along.shape)).tolist():
        scores = [float(start[b])] if t == u == 0 else []
        if t:
            scores.append(float(found[b, t - 1, u] + along[b, t, u]))
        if u:
            scores.append(float(found[b, t, u - 1] + up[b, t, u]))
        high = max(scores)
        found[b, t, u] = high + math.log(sum(math.exp(s - high) for s in scores))
    return found


@pytest.mark.parametrize("one", CASES, ids=lambda one: str(tuple(one[1].shape)))
def test_scan(one: tuple[Tensor, Tensor, Tensor]) -> None:
    torch.testing.assert_close(
        scan_columns(*one), step_by_step(*one), rtol=1e-12, atol=1e-7
    )


def test_the_kernel_in_tritons_interpreter(tmp_path) -> None:  # type: ignore[no-untyped-def]
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    torch.save(CASES, tmp_path / "cases")
    command = [sys.executable, "-c", IN_THE_INTERPRETER, str(tmp_path / "cases")]
    subprocess.run(command, check=True, env={**os.environ, "TRITON_INTERPRET": "1"})
    found = torch.load(tmp_path / "cases")
    for one, result in zip(CASES, found, strict=True):
        torch.testing.assert_close(result, step_by_step(*one), rtol=1e-12, atol=1e-9)


@pytest.mark.gpu
def test_the_kernel_on_a_gpu() -> None:
    kernel = lattice._kernel()
    assert (kernel is None) == (importlib.util.find_spec("triton") is None)
    if kernel is None:
        pytest.skip("triton is not installed")
    for one in (*CASES, case(4, 500, 101)):
        found = kernel(*(part.cuda() for part in one)).cpu()
        torch.testing.assert_close(found, scan_columns(*one), rtol=1e-12, atol=1e-7)
