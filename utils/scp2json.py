#!/usr/bin/env python3
"""Turn lines 'key value' of stdin into {"utts": {key: {NAME: value}}}."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import save_json
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_table, split_words
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("scp2json.py", __doc__ or "")
    parser.add_argument("--key", "-k", help="name of the value")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Runs of blanks in a value become one blank."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    if not args.key:
        raise UserError("--key NAME is missing: what the values are called")
    table = read_table("-", allow_empty=True)
    utts = {
        key: {args.key: " ".join(split_words(value))} for key, value in table.items()
    }
    save_json({"utts": utts}, None)


if __name__ == "__main__":
    run_command(main)
