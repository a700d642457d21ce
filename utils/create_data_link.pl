#!/usr/bin/env python3
"""Spread big files over disks: create_data_link.pl DIR/FILE...

Where a folder DIR/storage with links or folders in it exists, DIR/FILE becomes a link
to a file in one of them, which the writer of DIR/FILE then fills. Otherwise nothing
happens.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import zlib

from espnet.utils.errors import UserError, run_command


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="DIR/FILE")
    args = parser.parse_args(argv)
    for file in args.files:
        directory, name = os.path.split(file)
        storage = os.path.join(directory, "storage")
        disks = sorted(os.listdir(storage)) if os.path.isdir(storage) else []
        if not disks:
            continue
        disk = disks[zlib.adler32(name.encode()) % len(disks)]  # repeatable
        if os.path.lexists(file) and not os.path.islink(file):
            raise UserError(f"{file}: exists already; delete it, or {storage}")
        if os.path.islink(file):
            os.unlink(file)
        os.symlink(os.path.join("storage", disk, name), file)


if __name__ == "__main__":
    run_command(main)
