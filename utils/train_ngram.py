#!/usr/bin/env python3
"""Train an n-gram model on a text of tokens (modified Kneser-Ney) and write ARPA."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.lm.kneser_ney import read_sentences, train_kneser_ney
from espnet.utils.errors import UserError, run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("train_ngram.py", __doc__ or "")
    add = parser.add_argument
    add("text", help="a sentence of tokens in each line, as lm_train.py reads it")
    add("arpa", help="file to write, for --ngram-model of asr_recog.py")
    add("--order", "-o", type=int, default=3, help="tokens of the longest n-grams")
    add("--verbose", "-V", type=int, default=1, help="0: warnings, 1: what happens")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Count, smooth, write."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    setup_logging(args.verbose)
    if args.order < 1:
        raise UserError(f"order: {args.order} must be 1 or more")
    model = train_kneser_ney(read_sentences(args.text), args.order)
    model.write_arpa(args.arpa)
    sizes = ", ".join(
        f"{len(table)} {n}-grams" for n, table in enumerate(model.probabilities, 1)
    )
    print(f"{args.arpa}: {sizes}")


if __name__ == "__main__":
    run_command(main)
