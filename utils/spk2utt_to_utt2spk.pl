#!/usr/bin/env python3
"""Turn spk2utt into utt2spk: spk2utt_to_utt2spk.pl [FILE]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data.datadir_tables import write_lines
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_lines, split_words


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", help="spk2utt, or stdin")
    args = parser.parse_args(argv)
    lines = []
    for number, line in read_lines(args.file):
        speaker, *utterances = split_words(line) or [""]
        if not utterances:
            raise UserError(
                f"{args.file or 'stdin'}:{number}: '{line}': a speaker without words"
            )
        lines += [f"{utterance} {speaker}" for utterance in utterances]
    write_lines(None, lines)


if __name__ == "__main__":
    run_command(main)
