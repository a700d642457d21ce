#!/usr/bin/env python3
"""Count statistics for mean and variance normalisation.

One matrix for all features, if the output is a file name; with ark:FILE one for each
utterance or, with --spk2utt, for each speaker.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from espnet.data.ark import write_global
from espnet.data.cmvn import speaker_stats, sum_stats
from espnet.data.containers import (
    READERS,
    Entry,
    StoreOptions,
    converted,
    read_entries,
    write_table,
)
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.tables import is_specifier, plain_path
from espnet.transform.transformation import utterance_chain
from espnet.utils.errors import UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_table as read_text
from espnet.utils.log import setup_logging
from espnet.utils.options import option


@dataclass(frozen=True)
class StatsOptions:
    """Options of compute-cmvn-stats.py."""

    spk2utt: str = option("", "map of speakers to utterances: one matrix a speaker")
    in_filetype: str = option("mat", "kind of input", choices=tuple(READERS))
    out_filetype: str = option(
        "mat", "kind of output; npy: one matrix", choices=("mat", "hdf5", "npy")
    )
    preprocess_conf: str = option("", "transforms that are applied first")
    verbose: int = option(0, "1: say what is done", aliases=("-V",))


def main(argv: Sequence[str] | None = None) -> None:
    """Read features once, in order, and write their statistics."""
    args = parse_kaldi_command(
        StatsOptions,
        argv,
        {
            "rspecifier": "features: scp:FILE or ark:FILE",
            "output": "a file name, or ark:FILE",
        },
        prog=Path(sys.argv[0]).name,
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    entries = read_entries(args.rspecifier, args.in_filetype)
    if args.preprocess_conf:
        chain = utterance_chain(args.preprocess_conf, train=False)
        entries = converted(entries, chain)
    feats = ((key, array) for key, array, _ in entries)
    kind = args.out_filetype
    if is_specifier(args.output):
        if kind == "npy":
            kind = "hdf5"
            logging.warning("%s is a table: written as hdf5, not npy", args.output)
        speakers = read_text(plain_path(args.spk2utt)) if args.spk2utt else None
        table = starmap(Entry, speaker_stats(feats, speakers, args.rspecifier))
        write_table(table, args.output, StoreOptions(), kind)
        return
    if kind == "hdf5":
        kind = "npy"
        logging.warning("%s is one matrix: written as npy, not hdf5", args.output)
    if args.spk2utt:
        raise UserError(
            f"--spk2utt needs a table as output: 'ark:{args.output}', not the file name"
        )
    stats = sum_stats(feats, args.rspecifier)
    if kind == "npy":
        with atomic_write(args.output, "wb") as stream:
            np.save(stream, stats)
    else:
        write_global(args.output, stats)
    logging.info("statistics of %d frames in %s", stats[0, -1], args.output)


if __name__ == "__main__":
    run_command(main)
