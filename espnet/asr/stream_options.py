"""Options of ``asr_stream.py``. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from espnet.utils.errors import UserError
from espnet.utils.options import REQUIRED, option


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """Which recogniser, which audio, and how much of it is looked at together."""

    model: str = option(
        REQUIRED, "exp/<name>, a model in its results/, or an archive of pack_model.sh"
    )
    fs: int = option(
        0, "sampling rate of raw samples in Hz; 0: the model's; wav says its own"
    )
    block: float = option(
        0.32, "seconds that are encoded at once, unless the encoder only looks back"
    )
    left_context: float = option(2.0, "seconds before a block that its encoder sees")
    right_context: float = option(0.48, "likewise after it; a longer delay")
    end_silence: float = option(
        0.6, "seconds of CTC blank after which what was said becomes final"
    )
    realtime: bool = option(
        False, "take a file no faster than it sounds, to see what a microphone gives"
    )
    feats: str | None = option(
        None, "kind of features, where the model does not tell (fbank or fbank_pitch)"
    )
    fbank_config: str | None = option(None, "its options of the filter banks, likewise")
    pitch_config: str | None = option(None, "its options of the pitch, likewise")
    cmvn: str | None = option(None, "its statistics for normalisation, likewise")
    do_delta: bool | None = option(None, "whether it has deltas, likewise")
    trust_checkpoint: bool = option(
        False, "unpickle a model file of ESPnet1 that holds more than tensors"
    )
    verbose: int = option(
        1, "0: warnings, 1: what happens, 2: details", aliases=("-V",)
    )

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        if self.fs < 0:
            raise UserError(
                f"--fs: {self.fs} must be a sampling rate in Hz, such as 16000"
            )
        for name in ("left_context", "right_context"):
            if not 0 <= getattr(self, name) < math.inf:
                flag = name.replace("_", "-")
                raise UserError(
                    f"--{flag}: {getattr(self, name)} must not be below 0, nor infinite"
                )
        for name in ("block", "end_silence"):
            if not 0 < getattr(self, name) < math.inf:
                flag = name.replace("_", "-")
                raise UserError(
                    f"--{flag}: {getattr(self, name)} must be above 0, and finite"
                )

    def about_model(self) -> dict[str, object]:
        """What is said of the model's features, where it is said."""
        names = ("feats", "fbank_config", "pitch_config", "cmvn", "do_delta")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}
