#!/usr/bin/env python3
"""Score decoding results as NIST's sclite does."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.sclite import summary
from espnet.scoring.score import ScoreOptions, score_directory
from espnet.utils.errors import UserError, run_command
from espnet.utils.options import OptionParser, parse_options, read_config

TITLES = {"tokens": "CER (or TER)", "words": "WER"}


def positionals(parser: OptionParser, _: Namespace) -> None:
    parser.add_argument("result_dir", help="where data.1.json, data.2.json, ... are")
    parser.add_argument("dict", nargs="?", help="dictionary; or --dic FILE")


def main(argv: Sequence[str] | None = None) -> int | None:
    """Print the sums and where the reports are."""
    args = parse_options(
        [ScoreOptions],
        argv,
        prog="score_sclite.sh",
        description=__doc__ or "",
        more=positionals,
    )
    options = read_config(ScoreOptions, args)
    dictionary = args.dict or options.dic
    if not dictionary:
        raise UserError("no dictionary: score_sclite.sh [options] <result-dir> <dict>")
    reports = score_directory(Path(args.result_dir), Path(dictionary), options)
    for kind, path in reports.items():
        print(f"{TITLES[kind]}: full report in {path}")
        text = path.read_text(encoding="utf-8")
        print("\n".join(summary(text) or text.splitlines()[:4]))
    return 0


if __name__ == "__main__":
    run_command(main)
