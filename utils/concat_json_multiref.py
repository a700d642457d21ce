#!/usr/bin/env python3
"""Unite JSON files with several references: a repeated id of file n gets suffix .n."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import Utts, read_utts, save_json
from espnet.utils.errors import run_command
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the union, sorted by id; files count from 0."""
    parser = OptionParser("concat_json_multiref.py", __doc__ or "")
    parser.add_argument("jsons", nargs="+", help="files to unite")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    utts: Utts = {}
    for number, path in enumerate(args.jsons):
        for utt, entry in read_utts(path).items():
            utts[f"{utt}.{number}" if utt in utts else utt] = entry
    save_json({"utts": dict(sorted(utts.items()))}, None)


if __name__ == "__main__":
    run_command(main)
