"""Speech recognition: ``load("exp/...").transcribe("x.wav")``, see doc/decoding.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet.asr.transcribe import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """``load`` on first use: importing a submodule must not import torch."""
    if name == "load":
        from espnet.asr.transcribe import load

        return load
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
