#!/usr/bin/env python3
"""Cut a data.json into parts for parallel jobs: <dir>/split<N>utt/<name>.<k>.json."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import read_utts, save_json, split
from espnet.utils.errors import UserError, run_command
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("splitjson.py", __doc__ or "")
    parser.add_argument("json", type=Path, help="file to cut")
    parser.add_argument("--parts", "-p", type=int, default=0, help="number of parts")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Ids are sorted; sizes differ by one utterance at most, first parts are larger."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        pieces = split(read_utts(args.json), args.parts)
    except UserError as error:
        raise UserError(f"{args.json}: {error}") from None
    folder = args.json.parent / f"split{args.parts}utt"
    name = args.json.name.split(".")[0]
    for k, piece in enumerate(pieces, 1):
        save_json({"utts": piece}, folder / f"{name}.{k}.json")


if __name__ == "__main__":
    run_command(main)
