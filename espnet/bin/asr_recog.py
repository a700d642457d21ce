#!/usr/bin/env python3
"""Decode speech with a trained recogniser."""

from __future__ import annotations

from collections.abc import Sequence

from espnet.asr.recog_options import RecogOptions
from espnet.nets.search_options import SearchOptions
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import parse_options, read_config


def main(argv: Sequence[str] | None = None) -> None:
    """Read the options, decode, write the JSON of results."""
    args = parse_options(
        [RecogOptions, SearchOptions],
        argv,
        prog="asr_recog.py",
        description="Decode speech with a trained recogniser.",
        config_files=True,
    )
    setup_logging(args.verbose)
    from espnet.asr.recog import recognize  # late: torch, which --help does not need

    recognize(read_config(RecogOptions, args), read_config(SearchOptions, args))


def command() -> None:
    """The console entry point."""
    run_command(main)


if __name__ == "__main__":
    command()
