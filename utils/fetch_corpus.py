#!/usr/bin/env python3
"""Print where a corpus lies; unpack its archive, or download it, where need be.

It is looked for in --datadir and in ./downloads; only the latter is written to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.corpus import fetch_corpus
from espnet.utils.errors import UserError, run_command

DEFAULT = Path("downloads")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--datadir", type=Path, default=DEFAULT, help="folder with corpora")
    add("--has", required=True, help="a file by which the corpus is recognised")
    add("--archive", nargs="+", required=True, help="names its archive may have")
    add("--url", nargs="+", required=True, help="addresses, tried in this order")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the corpus's folder."""
    args = parser().parse_args(argv)
    if not args.datadir.is_dir() and args.datadir != DEFAULT:
        raise UserError(f"--datadir: there is no folder '{args.datadir}'")
    places = list(dict.fromkeys([args.datadir, DEFAULT]))
    print(fetch_corpus(places, args.has, args.archive, args.url))


if __name__ == "__main__":
    run_command(main)
