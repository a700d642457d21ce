#!/usr/bin/env python3
"""Print the newspaper sentences on the WSJ1 discs, in capitals: 1.6 million of them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet.data.corpora.wsj import LM_TEXT, Discs
from espnet.utils.errors import UserError, run_command


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--wsj0", type=Path, required=True, help="folder of the discs 11-1.1 and on")
    add("--wsj1", type=Path, required=True, help="folder of the discs 13-1.1 and on")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print them; lines with a tag are none."""
    args = parser().parse_args(argv)
    folder = Discs({"--wsj0": args.wsj0, "--wsj1": args.wsj1}).find(*LM_TEXT)
    files = sorted(folder.glob("8[789]/*.[zZ]"))
    if not files:
        raise UserError(f"{folder}: has no files 87/*.z to 89/*.z with sentences")
    # these are of Unix's compress, which gzip reads and Python does not
    command = ["gzip", "-dc", *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            if b"<" not in line:
                sys.stdout.write(line.decode("latin-1").upper())
    if process.returncode:
        raise UserError(f"{folder}: gzip cannot unpack what is in it")


if __name__ == "__main__":
    run_command(main)
