#!/usr/bin/env python3
"""Print the errors of the best assignment of hypotheses to speakers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.speakers import best_assignment, parse_report, summary
from espnet.utils.errors import UserError, run_command
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """Reads reports of sclite in the order r1h1 r1h2 ... r2h1 r2h2 ..."""
    parser = OptionParser("eval_perm_free_error.py", __doc__ or "")
    parser.add_argument("--num-spkrs", type=int, default=2, help="speakers")
    parser.add_argument("results", nargs="+", help="reports of sclite")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if len(args.results) != args.num_spkrs**2:
        raise UserError(
            f"--num-spkrs {args.num_spkrs} needs {args.num_spkrs**2} reports, got "
            f"{len(args.results)}"
        )
    reports = []
    for path in args.results:
        try:
            reports.append(parse_report(Path(path).read_text(encoding="utf-8"), path))
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
    utts = best_assignment(reports, args.results)
    print(summary(utts, f"{args}"), end="")


if __name__ == "__main__":
    run_command(main)
