#!/usr/bin/env python3
"""Convert a trn file to CTM; recording and times stand in the utterance ids."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.timed import ctm
from espnet.scoring.trn import read_trn
from espnet.utils.errors import run_command
from espnet.utils.files import atomic_write
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """Lines are 'recording channel start duration word'."""
    parser = OptionParser("trn2ctm.py", __doc__ or "")
    parser.add_argument("trn", help="file to read")
    parser.add_argument("ctm", help="file to write")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    rows = ctm(read_trn(args.trn), args.trn)
    with atomic_write(args.ctm) as stream:
        stream.writelines(f"{row}\n" for row in rows)


if __name__ == "__main__":
    run_command(main)
