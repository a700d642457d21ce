#!/usr/bin/env python3
"""Print real-time factor and latency from the times in decoding logs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.timing import found_marker, read_timing
from espnet.utils.errors import UserError, run_command
from espnet.utils.options import OptionParser

STARTS = ("speech length", "input lengths")


def parser() -> OptionParser:
    parser = OptionParser("calculate_rtf.py", __doc__ or "")
    add = parser.add_argument
    add("--log-dir", required=True, help="folder with <log-name>.*.log")
    add("--log-name", default="decode", choices=("decode", "asr_inference"))
    add(
        "--input-shift", type=float, default=10.0,
        help="ms for each of the frames in the start line",
    )  # fmt: skip
    add(
        "--start-times-marker", choices=STARTS,
        help="text of the start line (default: the first of the two that is found); "
        "'input lengths', of ESPnet1, counts frames of the encoder",
    )  # fmt: skip
    add(
        "--end-times-marker", default="prediction",
        choices=("prediction", "best hypo"), help="text of the end line",
    )  # fmt: skip
    add("--inf-num", type=int, default=1, help="end lines for each start line")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Duration of the audio, time of decoding, their ratio, time an utterance."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    if args.inf_num < 1:
        raise UserError(f"--inf-num {args.inf_num}: must be 1 or more")
    logs = sorted(Path(args.log_dir).glob(f"{args.log_name}.*.log"))
    if not logs:
        raise UserError(f"{args.log_dir}: has no {args.log_name}.*.log")
    timing = read_timing(
        logs,
        args.start_times_marker or found_marker(logs, STARTS),
        args.end_times_marker,
        args.input_shift / 1000,
        args.inf_num,
    )
    print("\n".join(timing.lines()))


if __name__ == "__main__":
    run_command(main)
