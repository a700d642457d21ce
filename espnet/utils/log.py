"""Logging in the format that recipes and log readers expect."""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s"


def setup_logging(verbose: int) -> None:
    """Log to stderr: warnings for 0, what happens for 1, details for 2."""
    levels = {0: logging.WARNING, 1: logging.INFO}
    level = levels.get(verbose, logging.DEBUG if verbose > 1 else logging.WARNING)
    logging.basicConfig(level=level, format=FORMAT, stream=sys.stderr, force=True)
    for chatty in ("matplotlib", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
