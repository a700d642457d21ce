#!/usr/bin/env python3
"""Write sounds for log mel energies, by a WaveNet of PytorchWaveNetVocoder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.audio import INT16, encode_wav
from espnet.data.containers import Entry, read_entries
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.wavscp import parse_part
from espnet.utils.errors import UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.log import setup_logging
from espnet.utils.options import REQUIRED, option, read_config

TOGETHER = 16  # a step for so many costs hardly more than for one


@dataclass(frozen=True)
class GenerateOptions:
    """Options of generate_wav_from_fbank.py."""

    model: str = option(REQUIRED, "checkpoint, beside its model.conf and stats.h5")
    fs: int = option(22050, "sampling rate of the sounds, Hz")
    n_shift: int = option(256, "samples from frame to frame")
    n_fft: int = option(1024, "length of the features' window, to check --n-shift with")
    filetype: str = option("mat", "kind of input", choices=("mat", "hdf5"))
    part: tuple = option((1, 1), "J/N: the J-th of N parts", parse=parse_part)
    verbose: int = option(0, "1: say what is done", aliases=("-V",))

    def check(self) -> None:
        """Refuse lengths that cannot be.

        Raises:
            UserError: a length is below 1, or the windows leave samples out.
        """
        for name in ("fs", "n_shift"):
            value = getattr(self, name)
            if value < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}={value}: must be 1 or more")
        if self.n_fft < self.n_shift:
            raise UserError(
                f"--n-fft={self.n_fft}: must be --n-shift={self.n_shift} or more, "
                "else the features leave samples out"
            )


def checked(entries: Iterator[Entry], size: int) -> Iterator[Entry]:
    """The entries, if they are features (T, size)."""
    for entry in entries:
        shape = entry.array.shape
        if len(shape) != 2 or shape[1] != size:
            raise UserError(f"{entry.key}: has shape {shape}, wanted is (T, {size})")
        if not shape[0]:
            raise UserError(f"{entry.key}: has no frames")
        yield entry


def main(argv: Sequence[str] | None = None) -> None:
    """Write OUTDIR/UTTERANCE.wav."""
    args = parse_kaldi_command(
        GenerateOptions,
        argv,
        {"rspecifier": "features: scp:FILE or ark:FILE", "outdir": "folder of sounds"},
        prog="generate_wav_from_fbank.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(GenerateOptions, args)
    import torch

    from espnet.tts.wavenet_vocoder import load_wavenet_vocoder

    torch.manual_seed(0)  # the same command writes the same sounds
    vocoder = load_wavenet_vocoder(options.model, options.n_shift)
    entries = read_entries(args.rspecifier, options.filetype, options.part)
    entries = checked(entries, vocoder.model.n_aux)
    while batch := list(islice(entries, TOGETHER)):
        sounds = vocoder([entry.array for entry in batch])
        for entry, sound in zip(batch, sounds, strict=True):
            with atomic_write(Path(args.outdir, f"{entry.key}.wav"), "wb") as stream:
                stream.write(encode_wav(sound * INT16, options.fs))
            logging.info("%s: %d samples", entry.key, len(sound))


if __name__ == "__main__":
    run_command(main)
