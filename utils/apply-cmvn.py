#!/usr/bin/env python3
"""Normalise mean and, on request, variance with statistics of compute-cmvn-stats."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from espnet.data.ark import read_global
from espnet.data.cmvn import Cmvn, utterance_cmvn
from espnet.data.containers import (
    TableOptions,
    converted,
    read_entries,
    write_table,
)
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.tables import is_specifier, plain_path, read_table
from espnet.transform.sources import read_npy
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_table as read_text
from espnet.utils.lines import split_words
from espnet.utils.log import setup_logging
from espnet.utils.options import option, read_config

STATS = ("mat", "hdf5", "npy")


@dataclass(frozen=True)
class ApplyOptions(TableOptions):
    """Options of apply-cmvn.py."""

    norm_means: bool = option(True, "subtract the mean")
    norm_vars: bool = option(False, "divide by the standard deviation")
    reverse: bool = option(False, "undo the normalisation")
    utt2spk: str = option("", "map of utterances to the speakers of the statistics")
    spk2utt: str = option("", "the same map, by speaker")
    stats_filetype: str = option("mat", "kind of statistics", choices=STATS)

    def check(self) -> None:
        """The two maps exclude each other."""
        super().check()
        if self.utt2spk and self.spk2utt:
            raise UserError("--utt2spk and --spk2utt say the same; give one of them")


def normaliser(
    stats: str, options: ApplyOptions
) -> Callable[[str, np.ndarray], np.ndarray]:
    """The function (utterance, features) -> normalised features."""
    how = {
        "norm_means": options.norm_means,
        "norm_vars": options.norm_vars,
        "reverse": options.reverse,
    }
    if is_specifier(stats):
        speakers = None
        if options.utt2spk:
            speakers = read_text(plain_path(options.utt2spk))
        elif options.spk2utt:
            groups = read_text(plain_path(options.spk2utt))
            speakers = {utt: spk for spk in groups for utt in split_words(groups[spk])}
        return utterance_cmvn(statistics(stats, options), stats, speakers, **how)
    if options.utt2spk or options.spk2utt:
        raise UserError(
            f"{stats} is one matrix for all: leave --utt2spk, --spk2utt out"
        )
    read = read_npy if options.stats_filetype == "npy" else read_global
    cmvn = Cmvn.from_stats(read(stats), stats, **how)
    return lambda _, feats: cmvn(feats)


def statistics(
    rspecifier: str, options: ApplyOptions
) -> Iterable[tuple[str, np.ndarray]]:
    """The table of statistics, at full precision."""
    if options.stats_filetype == "mat":
        return read_table(rspecifier, np.float64)
    if options.stats_filetype == "npy":
        raise UserError(f"'{rspecifier}': --stats-filetype=npy is one matrix for all")
    return ((key, array) for key, array, _ in read_entries(rspecifier, "hdf5"))


def main(argv: Sequence[str] | None = None) -> None:
    """Read features, normalise them, write them."""
    args = parse_kaldi_command(
        ApplyOptions,
        argv,
        {
            "stats": "a file with one matrix, or ark:FILE with one for each speaker",
            "rspecifier": "features: scp:FILE or ark:FILE",
            "wspecifier": "output: ark:FILE or ark,scp:FILE,FILE",
        },
        prog=Path(sys.argv[0]).name,
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(ApplyOptions, args)
    convert = normaliser(args.stats, options)
    entries = converted(read_entries(args.rspecifier, options.in_filetype), convert)
    write_table(entries, args.wspecifier, options, options.out_filetype)


if __name__ == "__main__":
    run_command(main)
