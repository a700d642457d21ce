#!/usr/bin/env python3
"""Recognise audio from standard input while it arrives."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from espnet.asr.stream_options import StreamOptions
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import parse_options, read_config


def main(argv: Sequence[str] | None = None) -> None:
    """Read the options, print partial and final results."""
    args = parse_options(
        [StreamOptions],
        argv,
        prog="asr_stream.py",
        description="Recognise raw 16-bit samples or wav from standard input while "
        "they arrive; prints partial and final lines with start, end and text.",
        config_files=True,
    )
    setup_logging(args.verbose)
    from espnet.asr.stream import stream  # late: torch, which --help does not need

    stream(read_config(StreamOptions, args), sys.stdin.buffer)


def command() -> None:
    """The console entry point."""
    run_command(main)


if __name__ == "__main__":
    command()
