#!/usr/bin/env python3
"""Split a list into parts: split_scp.pl [options] FILE PART..."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data.datadir_tables import (
    read_map,
    split_by_speaker,
    split_evenly,
    write_lines,
)
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_lines, split_key


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utt2spk", help="keep each speaker in one part, by this file")
    parser.add_argument(
        "-j",
        nargs=2,
        type=int,
        metavar=("N", "J"),
        help="write only part J of N, counted from 0, to PART or stdout",
    )
    parser.add_argument("--one-based", action="store_true", help="count J from 1")
    parser.add_argument("file", help="the list, - for stdin")
    parser.add_argument("parts", nargs="*", metavar="PART", help="files to write")
    args = parser.parse_args(argv)
    count, only = args.j or (len(args.parts), None)
    if only is not None:
        only -= args.one_based
        if not 0 <= only < count:
            parser.error(f"argument -j: there is no part {args.j[1]} of {count}")
    if not count or (only is not None and len(args.parts) > 1):
        parser.error("wants the names of the parts, or -j N J and at most one name")
    lines = [line for _, line in read_lines(args.file)]
    try:
        parts = split(lines, count, args.utt2spk)
    except UserError as error:
        raise UserError(f"{args.file}: {error}") from None
    if only is not None:
        parts, args.parts = [parts[only]], args.parts or ["-"]
    for path, part in zip(args.parts, parts, strict=True):
        write_lines(path, (lines[i] for i in part))


def split(lines: list[str], count: int, utt2spk: str | None) -> Sequence[Sequence[int]]:
    """The positions of the lines of each part."""
    if utt2spk is None:
        return split_evenly(len(lines), count)
    speakers = read_map(utt2spk)
    keys = [split_key(line)[0] for line in lines]
    for number, key in enumerate(keys, 1):
        if key not in speakers:
            raise UserError(f"line {number}: '{key}' is not in {utt2spk}")
    return split_by_speaker([speakers[key] for key in keys], count)


if __name__ == "__main__":
    run_command(main)
