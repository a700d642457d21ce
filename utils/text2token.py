#!/usr/bin/env python3
"""Turn the text of each line into tokens with blanks between."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.text.dictionary import SPACE
from espnet.text.tokenizer import TEXT_TOKENIZERS, read_symbols, text_tokenizer
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_lines
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("text2token.py", __doc__ or "")
    add = parser.add_argument
    add("--nchar", "-n", type=int, default=1, help="characters in a token")
    add("--skip-ncols", "-s", type=int, default=0, help="columns that stay as they are")
    add("--space", default=SPACE, help="what replaces a blank")
    add("--non-lang-syms", "-l", help="file of symbols kept whole, one a line")
    add("text", nargs="?", help="file to read; stdin if there is none")
    add("--trans-type", "-t", default="char", choices=TEXT_TOKENIZERS, help="kind")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for every line: the skipped columns, a blank, the tokens."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    if args.skip_ncols < 0:
        raise UserError(f"skip-ncols: {args.skip_ncols} must be 0 or more")
    symbols = read_symbols(args.non_lang_syms) if args.non_lang_syms else []
    tokenize = text_tokenizer(args.trans_type, args.nchar, symbols, args.space)
    for _, line in read_lines(args.text):
        words = line.split()
        tokens = tokenize(" ".join(words[args.skip_ncols :]))
        print(" ".join(words[: args.skip_ncols]), " ".join(tokens))


if __name__ == "__main__":
    run_command(main)
