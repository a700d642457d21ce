#!/usr/bin/env python3
"""Write references and best hypotheses of a recognition JSON as trn files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import read_utts
from espnet.scoring.trn import from_results, of_speaker, speaker_files, write_sides
from espnet.text.dictionary import Dictionary
from espnet.utils.errors import run_command


def main(argv: Sequence[str] | None = None) -> None:
    """Lines are 'tokens (speaker-utterance)'."""
    args = speaker_files(
        "json2trn.py", __doc__ or "", argv, dict="dictionary of the model"
    )
    dictionary = Dictionary.load(args.dict)
    utts = read_utts(args.json)
    refs, hyps = [], []
    for speaker in range(args.num_spkrs):
        chosen = of_speaker(utts, args.json, speaker) if args.num_spkrs > 1 else utts
        said, found = from_results(chosen, dictionary, args.json)
        refs.append(said)
        hyps.append(found)
    write_sides(args, refs, hyps)


if __name__ == "__main__":
    run_command(main)
