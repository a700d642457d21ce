#!/usr/bin/env python3
"""Copy features or sound from one table to another, to compress or convert them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.containers import (
    WRITERS,
    TableOptions,
    converted,
    read_entries,
    write_table,
)
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.transform.transformation import utterance_chain
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import option, read_config


@dataclass(frozen=True)
class CopyOptions(TableOptions):
    """Options of copy-feats.py."""

    out_filetype: str = option("mat", "kind of output", choices=tuple(WRITERS))
    preprocess_conf: str = option("", "transforms that are applied first")


def main(argv: Sequence[str] | None = None) -> None:
    """Read features and write them."""
    args = parse_kaldi_command(
        CopyOptions,
        argv,
        {
            "rspecifier": "features: scp:FILE or ark:FILE",
            "wspecifier": "output: ark:FILE or ark,scp:FILE,FILE",
        },
        prog="copy-feats.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(CopyOptions, args)
    entries = read_entries(args.rspecifier, options.in_filetype)
    if options.preprocess_conf:
        entries = converted(entries, utterance_chain(options.preprocess_conf))
    write_table(entries, args.wspecifier, options, options.out_filetype)


if __name__ == "__main__":
    run_command(main)
