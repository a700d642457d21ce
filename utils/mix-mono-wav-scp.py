#!/usr/bin/env python3
"""Print a wav.scp whose recordings have a channel for each of several wav.scp.

Its commands call merge_channels.py, so that sox is not needed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.ark import read_scp
from espnet.utils.errors import DataError, run_command
from espnet.utils.lines import shorten
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """Print '<utt> merge_channels.py A B ... |' lines."""
    parser = OptionParser("mix-mono-wav-scp.py", __doc__ or "")
    parser.add_argument("scp", nargs="+", help="wav.scp files with the same ids")
    paths = parser.parse_args(sys.argv[1:] if argv is None else argv).scp
    tables = [read_scp(path) for path in paths]
    problems = [
        f"{path}: utterance '{utt}' is not in {other}"
        for path, table in zip(paths, tables, strict=True)
        for other, against in zip(paths, tables, strict=True)
        for utt in table
        if utt not in against
    ]
    if problems:
        raise DataError(shorten(problems))
    for utt in tables[0]:
        sources = " ".join(shlex.quote(table[utt]) for table in tables)
        print(f"{utt} merge_channels.py {sources} |")


if __name__ == "__main__":
    run_command(main)
