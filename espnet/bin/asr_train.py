#!/usr/bin/env python3
"""Train a speech recogniser."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from espnet.asr.train_options import parse_train_options
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Raises:
        UserError: options, data or an earlier run do not fit.
    """
    args = parse_train_options(argv)
    setup_logging(args.verbose)
    words = sys.argv[1:] if argv is None else list(argv)
    logging.info("asr_train.py %s", " ".join(words))
    from espnet.asr.train import train  # torch: not needed for --help
    from espnet.train.launch import launch

    launch(train, args)


def command() -> None:
    """The console entry point."""
    run_command(main)


if __name__ == "__main__":
    command()
