#!/usr/bin/env python3
"""Write the data directories of digit strings: <data>/<set>_<name> for each set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet.data.corpus import Recording, write_data_dir
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_table


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strings", type=Path, help="made by synthesize or join_fsdd")
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("name", help="end of the data directories' names")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write all sets."""
    args = parser().parse_args(argv)
    folders = sorted(path.parent for path in args.strings.glob("*/text"))
    if not folders:
        raise UserError(f"{args.strings}: holds no digit strings; run stage -1 first")
    for folder in folders:
        texts = read_table(folder / "text")
        write_data_dir(
            args.data / f"{folder.name}_{args.name}",
            [
                Recording(utt, utt.split("-")[0], folder / "wav" / f"{utt}.wav", text)
                for utt, text in texts.items()
            ],
        )


if __name__ == "__main__":
    run_command(main)
