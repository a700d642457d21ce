#!/usr/bin/env python3
"""Write references and best hypotheses of a recognition JSON as '<utt> <tokens>'."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collections.abc import Mapping
from typing import Any

from espnet.data.manifest import read_utts
from espnet.text.dictionary import EOS, Dictionary
from espnet.utils.errors import DataError, UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.lines import shorten
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("json2text.py", __doc__ or "")
    for name, text in (
        ("json", "recognition JSON"),
        ("dict", "dictionary of the model"),
        ("ref", "file for the references"),
        ("hyp", "file for the hypotheses"),
    ):
        parser.add_argument(name, help=text)
    return parser


def tokens(best: Mapping[str, Any], key: str, dictionary: Dictionary) -> str:
    """The tokens of the ids under ``key``, less the text <eos>."""
    try:
        ids = [int(number) for number in best[key].split()]
    except (KeyError, AttributeError, ValueError):
        raise UserError(f"output[0].{key}: must be ids with blanks between") from None
    return " ".join(dictionary.decode(ids)).replace(EOS, "")


def main(argv: Sequence[str] | None = None) -> None:
    """An utterance without 'tokenid' has no line among the references."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    dictionary = Dictionary.load(args.dict)
    refs, hyps, problems = [], [], []
    for utt, entry in read_utts(args.json).items():
        try:
            best = (entry.get("output") or [{}])[0]
            hyps.append(f"{utt} {tokens(best, 'rec_tokenid', dictionary)}\n")
            if "tokenid" in best:
                refs.append(f"{utt} {tokens(best, 'tokenid', dictionary)}\n")
        except UserError as error:
            problems.append(f"{args.json}: utterance '{utt}': {error}")
    if problems:
        raise DataError(shorten(problems))
    for path, lines in ((args.ref, refs), (args.hyp, hyps)):
        with atomic_write(path) as stream:
            stream.writelines(lines)


if __name__ == "__main__":
    run_command(main)
