#!/usr/bin/env python3
"""Write the data directories train, dev and test of your own recordings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.own_recordings import KINDS, prepare
from espnet.utils.errors import run_command


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--from", dest="kind", choices=KINDS, required=True, help="kind of the source")
    add("--base", type=Path, help="folder where paths in a Kaldi wav.scp start")
    add("--seed", type=int, default=0, help="of the choice of dev and test")
    add("source", type=Path, help="CSV file, folder or Kaldi data directory")
    add("data", type=Path, help="folder for the data directories")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write them, and say how many there are."""
    args = parser().parse_args(argv)
    source, data = args.source.absolute(), args.data.absolute()
    if args.base is not None:
        os.chdir(args.base)
    done = prepare(args.kind, source, data, args.seed)
    print(f"{done.utterances} utterances of {done.speakers} speakers: {done.split}")


if __name__ == "__main__":
    run_command(main)
