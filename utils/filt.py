#!/usr/bin/env python3
"""Print a text with only the words of a list; the others become <UNK>."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.utils.errors import run_command
from espnet.utils.lines import read_lines
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """With --exclude, the words of the list are left out instead."""
    parser = OptionParser("filt.py", __doc__ or "")
    add = parser.add_argument
    add("--exclude", "-v", action="store_true", help="drop the words of the list")
    add("filt", help="list of words, one a line")
    add("infile", help="text; - is stdin")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    listed = {line.strip() for _, line in read_lines(args.filt)}
    for _, line in read_lines(args.infile):
        if args.exclude:
            print(" ".join(word for word in line.split() if word not in listed))
        else:
            print(" ".join(w if w in listed else "<UNK>" for w in line.split()))


if __name__ == "__main__":
    run_command(main)
