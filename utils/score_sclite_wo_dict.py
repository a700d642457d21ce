#!/usr/bin/env python3
"""Score the texts of decoding results as NIST's sclite does, without a dictionary."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.sclite import summary
from espnet.scoring.score import score_texts
from espnet.utils.errors import run_command
from espnet.utils.option_values import parse_bool
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the sums and where the reports are."""
    parser = OptionParser("score_sclite_wo_dict.sh", __doc__ or "")
    add = parser.add_argument
    add("--wer", type=parse_bool, default=False, help="score words too")
    add("result_dir", help="where data.1.json, data.2.json, ... are")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    for path in score_texts(Path(args.result_dir), args.wer):
        print(f"full report in {path}")
        print("\n".join(summary(path.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    run_command(main)
