#!/usr/bin/env python3
"""Write a segments file that leaves out silence at both ends of each recording."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from espnet.data.audio import trim_silence
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.spectra import SoundOptions, scaled_sounds
from espnet.utils.errors import UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.log import setup_logging
from espnet.utils.options import option, read_config


@dataclass(frozen=True)
class TrimOptions(SoundOptions):
    """Options of trim_silence.py."""

    fs: int | None = option(None, "sampling rate that all audio must have")
    threshold: float = option(60.0, "dB below the loudest frame that count as silence")
    win_length: int = option(1200, "length of a frame, samples")
    shift_length: int = option(300, "samples from frame to frame")
    min_silence: float = option(0.01, "seconds of silence kept at each side")
    figdir: str | None = option(None, "folder for a picture of each recording")

    def check(self) -> None:
        """Refuse lengths that are not above 0."""
        super().check()
        for name in ("win_length", "shift_length"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}={getattr(self, name)}: must be 1 or more")


def draw(
    path: Path, samples: np.ndarray, rate: int, limits: tuple[float, float]
) -> None:
    """A picture of the samples with the part that is kept between two lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(np.arange(len(samples)) / rate, samples, linewidth=0.5)
    for limit in limits:
        axes.axvline(limit, color="tab:red")
    axes.set(xlabel="seconds", title=f"{path.stem}: {limits[0]:.2f}-{limits[1]:.2f} s")
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="png")


def main(argv: Sequence[str] | None = None) -> None:
    """Lines are '<recording> <recording> <start> <end>'."""
    args = parse_kaldi_command(
        TrimOptions,
        argv,
        {"rspecifier": "sounds: scp:FILE", "output": "segments file to write"},
        prog="trim_silence.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(TrimOptions, args)
    with atomic_write(args.output) as segments:
        for key, samples, rate in scaled_sounds(args.rspecifier, options):
            if options.fs and rate != options.fs:
                raise UserError(f"{key}: is sampled at {rate} Hz, --fs={options.fs}")
            mono = samples if samples.ndim == 1 else samples.mean(axis=1)
            first, last = trim_silence(
                mono, options.threshold, options.win_length, options.shift_length
            )
            start = max(0.0, first / rate - options.min_silence)
            end = min(len(mono) / rate, last / rate + options.min_silence)
            segments.write(f"{key} {key} {start:.6f} {end:.6f}\n")
            if options.figdir:
                draw(Path(options.figdir, f"{key}.png"), mono, rate, (start, end))


if __name__ == "__main__":
    run_command(main)
