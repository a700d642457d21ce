"""How torch is set up before a command begins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from espnet.train.start import set_up_torch


@pytest.fixture
def torch_as_before() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    yield
    set_up_torch(1, 1)
    cudnn.deterministic, cudnn.benchmark = before


@pytest.mark.usefixtures("torch_as_before")
def test_debugmode_can_be_raised_and_lowered() -> None:
    for debugmode in (0, 1, 2, 1):
        set_up_torch(1, debugmode)
        assert torch.backends.cudnn.deterministic == (debugmode > 0)
        assert torch.backends.cudnn.benchmark == (debugmode == 0)
        assert torch.are_deterministic_algorithms_enabled() == (debugmode > 1)


def test_the_compiler_is_not_imported() -> None:
    """It takes as long as torch itself, at the start of every command."""
    code = (
        "import sys; from espnet.train.start import set_up_torch; set_up_torch(1, 1);"
        "sys.exit('torch._inductor' in sys.modules or 'torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
