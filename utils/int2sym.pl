#!/usr/bin/env python3
"""Replace numbers by their words: int2sym.pl SYMBOLS [FILE]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data.datadir_tables import fields_type, map_fields, read_map, write_lines
from espnet.utils.errors import run_command
from espnet.utils.lines import read_lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-f", "--field", type=fields_type, help="which words, as 2, 2- or 2-4"
    )
    parser.add_argument("symbols", help="file with lines '<word> <number>'")
    parser.add_argument("file", nargs="?", help="the numbers, or stdin")
    args = parser.parse_args(argv)
    lines = map_fields(
        read_lines(args.file),
        {number: word for word, number in read_map(args.symbols).items()},
        fields=args.field,
        what=args.symbols,
        name=args.file or "stdin",
    )
    write_lines(None, lines)


if __name__ == "__main__":
    run_command(main)
