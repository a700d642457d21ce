#!/usr/bin/env python3
"""Print the error rates of all experiments as Markdown."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.results import ShowOptions, results
from espnet.utils.errors import run_command
from espnet.utils.options import OptionParser, parse_options, read_config


def positionals(parser: OptionParser, _: Namespace) -> None:
    parser.add_argument("expdir", nargs="?", default="exp", help="the experiments")


def main(argv: Sequence[str] | None = None) -> int | None:
    args = parse_options(
        [ShowOptions],
        argv,
        prog="show_result.sh",
        description=__doc__ or "",
        more=positionals,
    )
    print(results(Path(args.expdir), read_config(ShowOptions, args)), end="")
    return 0


if __name__ == "__main__":
    run_command(main)
