#!/usr/bin/env python3
"""Add to a data.json one more input or output, made of flat JSON files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import read_utts, save_json
from espnet.data.merge import add_json
from espnet.utils.errors import UserError, run_command
from espnet.utils.log import setup_logging
from espnet.utils.option_values import parse_bool
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("addjson.py", __doc__ or "")
    add = parser.add_argument
    add("jsons", nargs="+", help="data.json, then the flat files of the new entry")
    add(
        "--is-input", "-i", type=parse_bool, default=True,
        help="true: a new input; false: a new output",
    )  # fmt: skip
    add("--verbose", "-V", type=int, default=0, help="more than 0: say what is done")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the utterances that all files have, each with the new entry."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    setup_logging(args.verbose)
    if len(set(args.jsons)) < 2:
        raise UserError("two different files at least: the data.json and what to add")
    named = {path: read_utts(path) for path in args.jsons}
    save_json({"utts": add_json(named, "input" if args.is_input else "output")}, None)


if __name__ == "__main__":
    run_command(main)
