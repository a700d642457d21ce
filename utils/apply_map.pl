#!/usr/bin/env python3
"""Replace words by what a map says: apply_map.pl MAP [FILE]."""

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
    parser.add_argument(
        "--permissive", action="store_true", help="leave words that the map lacks"
    )
    parser.add_argument("map", help="file with lines '<word> <words for it>'")
    parser.add_argument("file", nargs="?", help="what to map, or stdin")
    args = parser.parse_args(argv)
    lines = map_fields(
        read_lines(args.file),
        read_map(args.map),
        fields=args.field,
        keep_missing=args.permissive,
        what=f"{args.map}; add it there, or pass --permissive",
        name=args.file or "stdin",
    )
    write_lines(None, lines)


if __name__ == "__main__":
    run_command(main)
