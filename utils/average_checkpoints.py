#!/usr/bin/env python3
"""Average the weights of several epochs into one file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.train.choose import METRICS, choose_best, choose_last
from espnet.utils.errors import UserError, run_command
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("average_checkpoints.py", __doc__ or "")
    add = parser.add_argument
    maybe = {"nargs": "?", "const": None}
    add("--snapshots", nargs="+", required=True, help="files such as snapshot.ep.N")
    add("--out", required=True, help="file to write, such as model.last10.avg.best")
    add("--num", type=int, default=10, help="how many to average; fewer if not found")
    add("--backend", default="pytorch", choices=("pytorch",), help="only pytorch")
    add("--log", **maybe, help="results/log: the best by it; without: the last ones")
    add(
        *("--metric", "-m"),
        **{**maybe, "const": ""},
        default="",
        choices=("", *METRICS),
        help="of --log; without: acc, else perplexity, else loss",
    )
    add("--max-epoch", **maybe, type=int, help="leave out later epochs")
    add(
        "--trust-checkpoint",
        action="store_true",
        help="read snapshots of ESPnet1 too, which can run any code in them",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Choose, average, write."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    if args.num < 1:
        raise UserError(f"num: {args.num} must be 1 or more")
    if args.metric and not args.log:
        raise UserError(f"metric: {args.metric} chooses epochs of a log; give --log")
    out = Path(args.out)
    if out.resolve() in {Path(path).resolve() for path in args.snapshots}:
        raise UserError(f"out: {out} is one of the snapshots; give another name")

    # torch: not for --help
    from espnet.train.average import average
    from espnet.train.checkpoint import save

    if args.log:
        folder = Path(args.snapshots[0]).parent
        choice = choose_best(folder, args.log, args.num, args.metric, args.max_epoch)
    else:
        choice = choose_last(args.snapshots, args.num, args.max_epoch)
    save(average(choice.paths, args.trust_checkpoint), out)
    print(f"{out}: averaged {choice.reason}")


if __name__ == "__main__":
    run_command(main)
