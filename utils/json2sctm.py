#!/usr/bin/env python3
"""Write a recognition JSON as STM references and CTM hypotheses for sclite."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.manifest import read_utts
from espnet.scoring.timed import ctm, stm, stm_header
from espnet.scoring.trn import (
    from_results,
    of_speaker,
    piece_joiner,
    words_of,
    write_trn,
)
from espnet.text.dictionary import Dictionary
from espnet.utils.errors import UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("json2sctm.py", __doc__ or "")
    add = parser.add_argument
    add("json", help="recognition JSON")
    add("dict", help="dictionary of the model")
    add("--num-spkrs", type=int, nargs="?", default=1, help="speakers")
    add("--refs", nargs="*", default=[], help="keep the trn of the references here")
    add("--hyps", nargs="*", default=[], help="keep the trn of the hypotheses here")
    add("--orig-stm", nargs="?", help="STM whose ;; lines are kept")
    add("--stm", nargs="+", required=True, help="a file for each speaker")
    add("--ctm", nargs="+", required=True, help="a file for each speaker")
    add("--bpe", nargs="?", help="sentencepiece model: tokens are its pieces")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Recordings and times stand in the utterance ids."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    speakers = args.num_spkrs or 1
    for name in ("refs", "hyps", "stm", "ctm"):
        given = getattr(args, name)
        if len(given) != speakers and (given or name in ("stm", "ctm")):
            raise UserError(f"--{name}: {len(given)} files for {speakers} speakers")
    dictionary = Dictionary.load(args.dict)
    to_text = (piece_joiner(args.bpe),) if args.bpe else ()
    utts = read_utts(args.json)
    header = stm_header(args.orig_stm)
    for speaker in range(speakers):
        chosen = of_speaker(utts, args.json, speaker) if speakers > 1 else utts
        sides = from_results(chosen, dictionary, args.json)
        refs, hyps = (words_of(side, *to_text) for side in sides)
        for lines, kept in ((refs, args.refs), (hyps, args.hyps)):
            if kept:
                write_trn(lines, kept[speaker])
        for rows, path in (
            (header + stm(refs, args.json), args.stm[speaker]),
            (ctm(hyps, args.json), args.ctm[speaker]),
        ):
            with atomic_write(path) as stream:
                stream.writelines(f"{row}\n" for row in rows)


if __name__ == "__main__":
    run_command(main)
