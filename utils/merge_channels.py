#!/usr/bin/env python3
"""Print a WAV file with the channels of several recordings of equal length."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from espnet.data.audio import encode_wav, read_audio
from espnet.utils.errors import UserError, run_command
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """Shorter recordings are padded with zeros, as sox -M does."""
    parser = OptionParser("merge_channels.py", __doc__ or "")
    parser.add_argument("source", nargs="+", help="sound file, or 'command |'")
    sources = parser.parse_args(sys.argv[1:] if argv is None else argv).source
    sounds = [read_audio(source) for source in sources]
    for source, (_, rate) in zip(sources, sounds, strict=True):
        if rate != sounds[0][1]:
            raise UserError(
                f"{source}: is sampled at {rate} Hz, {sources[0]} at {sounds[0][1]} Hz"
            )
    longest = max(len(samples) for samples, _ in sounds)
    padded = [np.pad(x, [(0, longest - len(x)), (0, 0)]) for x, _ in sounds]
    joined = np.concatenate(padded, axis=1)
    sys.stdout.buffer.write(encode_wav(joined, sounds[0][1]))


if __name__ == "__main__":
    run_command(main)
