#!/usr/bin/env python3
"""Write a training text's dictionary: <unk> 1, then its tokens in code-point order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.text.dictionary import UNK, Dictionary
from espnet.text.subword import SubwordTokenizer
from espnet.text.tokenizer import TEXT_TOKENIZERS, read_symbols, text_tokenizer
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_lines
from espnet.utils.options import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("make_dict.py", __doc__ or "")
    add = parser.add_argument
    add(
        "text", help="transcripts of training, '<utterance> <words>' a line; - is stdin"
    )
    add("dict", help="dictionary to write")
    add("--bpecode", help="sentencepiece model: the tokens are the pieces that occur")
    add("--nlsyms", help="file of non-linguistic symbols kept whole (not with bpecode)")
    add("--nchar", type=int, default=1, help="characters in a token (not with bpecode)")
    add("--trans-type", default="char", choices=TEXT_TOKENIZERS, help="kind of text")
    add("--skip-ncols", type=int, default=1, help="columns before the words")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the file that data2json.sh and the training read."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    lines = (line.split(maxsplit=args.skip_ncols) for _, line in read_lines(args.text))
    texts = (words[args.skip_ncols] for words in lines if len(words) > args.skip_ncols)
    if args.bpecode:
        tokenized = SubwordTokenizer(args.bpecode).encode(texts)
    else:
        symbols = read_symbols(args.nlsyms) if args.nlsyms else []
        tokenized = map(text_tokenizer(args.trans_type, args.nchar, symbols), texts)
    found = {token for tokens in tokenized for token in tokens} - {UNK}
    if not found:
        raise UserError(f"{args.text}: holds no text after {args.skip_ncols} columns")
    Dictionary([UNK, *sorted(found)]).save(args.dict)


if __name__ == "__main__":
    run_command(main)
