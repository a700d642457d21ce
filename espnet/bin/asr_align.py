#!/usr/bin/env python3
"""Find the segments of a text in recordings, with a trained recogniser."""

from __future__ import annotations

from collections.abc import Sequence

from espnet.asr.align_options import AlignOptions
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import parse_options, read_config


def main(argv: Sequence[str] | None = None) -> None:
    """Read the options, align, write the segments."""
    args = parse_options(
        [AlignOptions],
        argv,
        prog="asr_align.py",
        description="Find the segments of a text in recordings, by CTC segmentation.",
        config_files=True,
        strict_configs=False,  # as ESPnet1, whose scripts gave it decoding configs
    )
    setup_logging(args.verbose)
    from espnet.asr.align_corpus import align_corpus  # late: --help needs no torch

    align_corpus(read_config(AlignOptions, args))


def command() -> None:
    """The console entry point."""
    run_command(main)


if __name__ == "__main__":
    command()
