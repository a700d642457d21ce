#!/usr/bin/env python3
"""Join scp files, which have the same keys in the same order, into a data.json."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import save_json
from espnet.data.merge import Column, merge_scps
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.option_values import parse_bool
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("merge_scp2json.py", __doc__ or "")
    several = {"action": "append", "default": [], "metavar": "KEY:FILE[:TYPE]"}
    add = parser.add_argument
    add("--input-scps", nargs="*", **several, help="one input; repeat for the next")
    add("--output-scps", nargs="*", **several, help="one output; repeat for the next")
    add("--scps", nargs="+", **several, help="keys beside input and output")
    add("--verbose", "-V", type=int, default=1, help="more than 0: say what is done")
    add(
        "--allow-one-column", type=parse_bool, default=False,
        help="a line may hold a key only, its value is then empty",
    )  # fmt: skip
    add("--out", "-O", help="file to write; stdout if not given")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Types are str (default), int, float and shape (3,5)."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    setup_logging(args.verbose)
    inputs, outputs, others = (
        [[Column.parse(text) for text in group] for group in groups]
        for groups in (args.input_scps, args.output_scps, args.scps)
    )
    beside = [column for group in others for column in group]
    utts = merge_scps(inputs, outputs, beside, args.allow_one_column)
    save_json({"utts": utts}, args.out)


if __name__ == "__main__":
    run_command(main)
