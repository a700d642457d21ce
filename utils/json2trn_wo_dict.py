#!/usr/bin/env python3
"""Write the texts of a recognition JSON as trn files, without a dictionary."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import read_utts
from espnet.scoring.trn import from_texts, write_trn
from espnet.utils.errors import UserError, run_command
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("json2trn_wo_dict.py", __doc__ or "")
    add = parser.add_argument
    add("json", help="recognition JSON")
    add("--num-spkrs", type=int, default=1, help="speakers in an utterance")
    add("--refs", nargs="+", required=True, help="a file for each speaker")
    add("--hyps", nargs="+", required=True, help="a file for each speaker")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Lines are 'words (utterance)', with - in the id become _."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    for name, files in (("refs", args.refs), ("hyps", args.hyps)):
        if len(files) != args.num_spkrs:
            raise UserError(
                f"--{name}: {len(files)} files for {args.num_spkrs} speakers; "
                "give one for each"
            )
    utts = read_utts(args.json)
    written = [
        (from_texts(utts, args.json, speaker, key), path)
        for key, paths in (("text", args.refs), ("rec_text", args.hyps))
        for speaker, path in enumerate(paths)
    ]
    for lines, path in written:
        write_trn(lines, path)


if __name__ == "__main__":
    run_command(main)
