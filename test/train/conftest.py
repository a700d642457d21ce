"""What tests of whole trainings share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from crash_lab import CrashLab


@pytest.fixture(scope="module")
def lab() -> Iterator[CrashLab]:
    """Runs trainings and kills them."""
    with CrashLab() as lab:
        yield lab
