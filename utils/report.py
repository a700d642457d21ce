#!/usr/bin/env python3
"""Write a web page about a decoding: errors in colour, tables, audio, n-best lists."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.scoring.html_report import ReportOptions, html_report
from espnet.utils.errors import run_command
from espnet.utils.files import atomic_write
from espnet.utils.options import OptionParser, parse_options, read_config


def positionals(parser: OptionParser, _: Namespace) -> None:
    parser.add_argument("result_dir", help="exp/<name>/decode_..., which was scored")


def main(argv: Sequence[str] | None = None) -> None:
    """Print where the page is."""
    args = parse_options(
        [ReportOptions],
        argv,
        prog="report.py",
        description=__doc__ or "",
        more=positionals,
    )
    options = read_config(ReportOptions, args)
    folder = Path(args.result_dir)
    text = html_report(folder, options)
    path = options.out or str(folder / "report.html")
    with atomic_write(path) as stream:
        stream.write(text)
    print(f"report: {path} ({len(text.encode()) / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_command(main)
