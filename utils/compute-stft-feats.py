#!/usr/bin/env python3
"""Magnitude spectra of sounds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.containers import write_table
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.spectra import StftOptions, stft_features
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import read_config


def main(argv: Sequence[str] | None = None) -> None:
    """Read sounds, write their spectra."""
    args = parse_kaldi_command(
        StftOptions,
        argv,
        {
            "rspecifier": "sounds: scp:FILE",
            "wspecifier": "output: ark:FILE or ark,scp:FILE,FILE",
        },
        prog="compute-stft-feats.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(StftOptions, args)
    entries = stft_features(args.rspecifier, options)
    write_table(entries, args.wspecifier, options, options.filetype)


if __name__ == "__main__":
    run_command(main)
