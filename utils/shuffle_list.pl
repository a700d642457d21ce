#!/usr/bin/env python3
"""Shuffle lines, always in the same way: shuffle_list.pl [FILE]."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data.datadir_tables import write_lines
from espnet.utils.errors import run_command
from espnet.utils.lines import read_lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--srand", type=int, default=777, help="another way")
    parser.add_argument("file", nargs="?", default="-", help="the list, or stdin")
    args = parser.parse_args(argv)
    lines = [line for _, line in read_lines(args.file)]
    random.Random(args.srand).shuffle(lines)
    write_lines(None, lines)


if __name__ == "__main__":
    run_command(main)
