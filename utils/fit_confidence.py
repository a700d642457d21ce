#!/usr/bin/env python3
"""Calibrate confidences: compare CTM files with what was said, and print a map.

Decode a development set with `asr_recog.py --ctm FILE`, then put the line that this
prints into the decoding config.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.calibration import (
    ConfidenceMap,
    calibration_error,
    fit_map,
    judged_words,
    read_ctm,
    reliability,
)
from espnet.utils.errors import run_command
from espnet.utils.lines import read_lines


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", help="reference: lines '<utterance> <words>'")
    parser.add_argument("ctm", nargs="+", help="CTM files of asr_recog.py")
    parser.add_argument(
        "--confidence",
        metavar="A,B",
        help="judge this map instead of fitting one",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table of reliability before and after, and the map."""
    args = parser().parse_args(argv)
    lines = (line.split() for _, line in read_lines(args.text))
    references = {words[0]: words[1:] for words in lines if words}
    raw, right = judged_words(read_ctm(args.ctm), references)
    if args.confidence:
        scale, shift = (float(number) for number in args.confidence.split(","))
        chosen = ConfidenceMap(scale, shift)
    else:
        chosen = fit_map(raw, right)
    for title, values in (("as they are", raw), ("with the map", chosen(raw))):
        error = calibration_error(values, right)
        print(f"# {title}: expected calibration error {error:.3f}")
        print("#   from  words  confidence  right")
        for low, count, said, true in reliability(values, right):
            print(f"#   {low:.1f}  {count:6d}       {said:.3f}  {true:.3f}")
    print(f"confidence: {chosen.scale:.3f},{chosen.shift:.3f}")


if __name__ == "__main__":
    run_command(main)
