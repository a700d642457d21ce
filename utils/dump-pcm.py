#!/usr/bin/env python3
"""Copy sounds, whole or cut by segments, to an archive or to new files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from espnet.data.audio import SOUND_FORMATS
from espnet.data.containers import WRITERS, Convert, converted, write_table
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.spectra import SoundOptions, scaled_sounds
from espnet.transform.transformation import utterance_chain
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import option, read_config


@dataclass(frozen=True)
class DumpOptions(SoundOptions):
    """Options of dump-pcm.py."""

    filetype: str = option("mat", "kind of output", choices=tuple(WRITERS))
    format: str | None = option(
        None,
        "format of sound files; none: wav, in HDF5 flac",
        choices=tuple(SOUND_FORMATS),
    )
    preprocess_conf: str = option("", "transforms that are applied first")
    keep_length: bool = option(
        True, "cut, or pad with zeros, what the transforms made to the old length"
    )


def transform(conf: str, keep_length: bool) -> Convert:
    """The function (utterance, samples) -> processed samples."""
    chain = utterance_chain(conf)

    def process(utterance: str, samples: np.ndarray) -> np.ndarray:
        processed = chain(utterance, samples)
        if not keep_length:
            return processed
        missing = max(0, len(samples) - len(processed))
        ends = [(0, missing)] + [(0, 0)] * (processed.ndim - 1)
        return np.pad(processed[: len(samples)], ends)

    return process


def main(argv: Sequence[str] | None = None) -> None:
    """Read sounds, write them."""
    args = parse_kaldi_command(
        DumpOptions,
        argv,
        {
            "rspecifier": "sounds: scp:FILE",
            "wspecifier": "output: ark,scp:FILE,SCP; FILE is a folder for sound",
        },
        prog="dump-pcm.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(DumpOptions, args)
    entries = scaled_sounds(args.rspecifier, options)
    if options.preprocess_conf:
        process = transform(options.preprocess_conf, options.keep_length)
        entries = converted(entries, process)
    write_table(entries, args.wspecifier, options, options.filetype, options.format)


if __name__ == "__main__":
    run_command(main)
