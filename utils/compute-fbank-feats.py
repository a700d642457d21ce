#!/usr/bin/env python3
"""Log10 mel energies of sounds, as speech synthesis uses them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.containers import write_table
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.spectra import FbankOptions, fbank_features
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import read_config


def main(argv: Sequence[str] | None = None) -> None:
    """Read sounds, write their spectra."""
    args = parse_kaldi_command(
        FbankOptions,
        argv,
        {
            "rspecifier": "sounds: scp:FILE",
            "wspecifier": "output: ark:FILE or ark,scp:FILE,FILE",
        },
        prog="compute-fbank-feats.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(FbankOptions, args)
    entries = fbank_features(args.rspecifier, options)
    write_table(entries, args.wspecifier, options, options.filetype)


if __name__ == "__main__":
    run_command(main)
