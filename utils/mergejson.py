#!/usr/bin/env python3
"""Join flat JSON files ({"utts": {id: {key: value}}}) into a data.json."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import save_json
from espnet.data.merge import merge_flat
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("mergejson.py", __doc__ or "")
    several = {"nargs": "+", "action": "append", "default": [], "metavar": "JSON"}
    add = parser.add_argument
    add("--input-jsons", **several, help="files of one input; repeat for the next")
    add("--output-jsons", **several, help="files of one output; repeat for the next")
    add("--jsons", **several, help="files of keys beside them")
    add("--verbose", "-V", type=int, default=0, help="more than 0: say what is done")
    add("-O", dest="out", help="file to write; stdout if not given")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the utterances that all files have."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    setup_logging(args.verbose)
    others = [path for group in args.jsons for path in group]
    utts = merge_flat(args.input_jsons, args.output_jsons, others)
    save_json({"utts": utts}, args.out)


if __name__ == "__main__":
    run_command(main)
