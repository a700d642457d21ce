#!/usr/bin/env python3
"""Copy features from one table to another, for example to compress them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.tables import TableOptions, convert_table, read_table
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import read_config


def main(argv: Sequence[str] | None = None) -> None:
    """Read features and write them."""
    args = parse_kaldi_command(
        TableOptions,
        argv,
        {
            "rspecifier": "features: scp:FILE or ark:FILE",
            "wspecifier": "output: ark:FILE or ark,scp:FILE,FILE",
        },
        prog="copy-feats.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(TableOptions, args)
    table = read_table(args.rspecifier)
    convert_table(table, args.wspecifier, lambda _, feats: feats, options)


if __name__ == "__main__":
    run_command(main)
