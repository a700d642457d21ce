#!/usr/bin/env python3
"""Keep the lines whose key is in a list: filter_scp.pl LIST [FILE]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data.datadir_tables import filter_lines, write_lines
from espnet.utils.errors import run_command
from espnet.utils.lines import read_lines, split_key


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exclude", action="store_true", help="keep the other lines")
    parser.add_argument("-f", dest="field", type=int, default=1, help="the key's field")
    parser.add_argument("list", help="file with the keys as first words")
    parser.add_argument("file", nargs="?", help="what to filter, or stdin")
    args = parser.parse_args(argv)
    if args.field < 1:
        parser.error(f"argument -f: fields are counted from 1, got {args.field}")
    keys = {split_key(line)[0] for _, line in read_lines(args.list)}
    options = {
        "field": args.field,
        "exclude": args.exclude,
        "name": args.file or "stdin",
    }
    write_lines(None, filter_lines(read_lines(args.file), keys, **options))


if __name__ == "__main__":
    run_command(main)
