#!/usr/bin/env python3
"""Write the texts of a recognition JSON as trn files, without a dictionary."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import read_utts
from espnet.scoring.trn import from_texts, speaker_files, write_sides
from espnet.utils.errors import run_command


def main(argv: Sequence[str] | None = None) -> None:
    """Lines are 'words (utterance)', with - in the id become _."""
    args = speaker_files("json2trn_wo_dict.py", __doc__ or "", argv)
    utts = read_utts(args.json)
    speakers = range(args.num_spkrs)
    refs = [from_texts(utts, args.json, speaker, "text") for speaker in speakers]
    hyps = [from_texts(utts, args.json, speaker, "rec_text") for speaker in speakers]
    write_sides(args, refs, hyps)


if __name__ == "__main__":
    run_command(main)
