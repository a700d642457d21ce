#!/usr/bin/env python3
"""Write data directories of the Wall Street Journal corpus, from the LDC's discs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet.data.corpora.wsj import SETS, Discs, recordings, symbols_in
from espnet.data.corpus import write_data_dir
from espnet.data.datadir_tables import write_lines
from espnet.utils.errors import UserError, one_of, run_command


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--wsj0", type=Path, required=True, help="folder of the discs 11-1.1 and on")
    add("--wsj1", type=Path, required=True, help="folder of the discs 13-1.1 and on")
    add("--nlsyms", type=Path, help="file for the symbols that are no words")
    add("data", type=Path, help="folder for the data directories")
    add("sets", nargs="+", help=", ".join(SETS))
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the sets."""
    args = parser().parse_args(argv)
    unknown = [name for name in args.sets if name not in SETS]
    if unknown:
        raise UserError(one_of("data set", unknown[0], SETS))
    discs = Discs({"--wsj0": args.wsj0, "--wsj1": args.wsj1})
    symbols: list[str] = []
    for name in args.sets:
        found = recordings(discs, name)
        write_data_dir(args.data / name, found)
        symbols += symbols_in([recording.text for recording in found])
        print(f"{name}: {len(found)} utterances")
    if args.nlsyms is not None:
        write_lines(args.nlsyms, sorted(set(symbols)))


if __name__ == "__main__":
    run_command(main)
