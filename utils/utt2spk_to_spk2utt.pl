#!/usr/bin/env python3
"""Turn utt2spk into spk2utt: utt2spk_to_spk2utt.pl [FILE]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data.datadir_tables import spk2utt_of, write_lines
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_lines, split_words


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", help="utt2spk, or stdin")
    args = parser.parse_args(argv)
    utt2spk = {}
    for number, line in read_lines(args.file):
        words = split_words(line)
        if len(words) != 2 or words[0] in utt2spk:
            fault = "a second line for it" if len(words) == 2 else "not two words"
            raise UserError(f"{args.file or 'stdin'}:{number}: '{line}': {fault}")
        utt2spk[words[0]] = words[1]
    spk2utt = spk2utt_of(utt2spk)
    write_lines(None, (f"{speaker} {utts}" for speaker, utts in spk2utt.items()))


if __name__ == "__main__":
    run_command(main)
