"""Attention weights on request; without one they are never put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn

Recorder = Callable[[str, Tensor], None]


class Recorded:
    """A module with weights to look at.

    Attributes:
        recorder: is called in ``forward`` with what is put behind the module's name (""
            if there are no others) and weights (B, H, L, T), before dropout.
    """

    recorder: Recorder | None = None


@contextmanager
def recording(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collects the weights of one forward pass by the names of modules in ``model``."""
    found: dict[str, Tensor] = {}

    def keep(name: str, suffix: str, weights: Tensor) -> None:
        found[name + suffix] = weights.detach()

    recorded = [(n, m) for n, m in model.named_modules() if isinstance(m, Recorded)]
    for name, module in recorded:
        module.recorder = partial(keep, name)
    try:
        yield found
    finally:
        for _, module in recorded:
            module.recorder = None
