#!/usr/bin/env python3
"""Normalise, append deltas on request, compress: one job of dump.sh."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from espnet.data.ark import read_global, read_matrices
from espnet.data.cmvn import Cmvn
from espnet.data.containers import Entry, StoreOptions, converted, write_table
from espnet.data.features import add_deltas
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.wavscp import parse_part, part_of_scp
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import option, read_config


@dataclass(frozen=True)
class DumpOptions(StoreOptions):
    """Options of dump-feats.py."""

    out_filetype: str = option("mat", "kind of output", choices=("mat", "hdf5"))
    do_delta: bool = option(False, "append deltas and delta-deltas")
    part: tuple = option((1, 1), "J/N: the J-th of N parts", parse=parse_part)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the archive of one part."""
    args = parse_kaldi_command(
        DumpOptions,
        argv,
        {
            "scp": "feats.scp",
            "stats": "statistics of compute-cmvn-stats",
            "wspecifier": "output: ark,scp:FILE,FILE",
        },
        prog="dump-feats.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    cmvn = Cmvn.from_stats(read_global(args.stats), args.stats, norm_vars=True)

    def convert(_: str, feats: np.ndarray) -> np.ndarray:
        normal = cmvn(feats)
        return add_deltas(normal) if args.do_delta else normal

    options = read_config(DumpOptions, args)
    table = starmap(Entry, read_matrices(part_of_scp(args.scp, args.part), args.scp))
    write_table(
        converted(table, convert), args.wspecifier, options, options.out_filetype
    )


if __name__ == "__main__":
    run_command(main)
