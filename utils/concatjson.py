#!/usr/bin/env python3
"""Unite the utterances of JSON files; of an id in several the last file wins."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import join, read_utts, save_json
from espnet.utils.errors import run_command
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("concatjson.py", __doc__ or "")
    parser.add_argument("jsons", nargs="+", help="files to unite")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the union, sorted by id."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    save_json({"utts": join(map(read_utts, args.jsons))}, None)


if __name__ == "__main__":
    run_command(main)
