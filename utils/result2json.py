#!/usr/bin/env python3
"""Print the utterances of a report of sclite (stdin) as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import save_json
from espnet.scoring.speakers import pair_of, parse_report
from espnet.utils.errors import run_command
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """{"utts": {id: {rXhY: {Scores, REF, HYP, Eval}}}}."""
    parser = OptionParser("result2json.py", __doc__ or "")
    parser.add_argument("--key", "-k", required=True, help="text that holds rXhY")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    pair = pair_of(args.key)
    blocks = parse_report(sys.stdin.read(), "stdin")
    save_json({"utts": {utt: {pair: block} for utt, block in blocks.items()}}, None)


if __name__ == "__main__":
    run_command(main)
