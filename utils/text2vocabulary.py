#!/usr/bin/env python3
"""Write a word list: <unk> 1, then the most frequent words in code-point order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collections import Counter

from espnet.text.dictionary import UNK
from espnet.utils.errors import UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_lines
from espnet.utils.options import OptionParser

NOT_COUNTED = ("<sos>", "<eos>", UNK)


def parser() -> OptionParser:
    parser = OptionParser("text2vocabulary.py", __doc__ or "")
    add = parser.add_argument
    add("--output", "-o", default="", help="file to write; stdout if empty")
    add("--cutoff", "-c", type=int, default=0, help="keep words seen more than this")
    add("--vocabsize", "-s", type=int, default=20000, help="keep so many words at most")
    add("text_files", nargs="*", help="text; stdin if there is none")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the list; the share of words that it lacks goes to stderr."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    if args.vocabsize < 1:
        raise UserError(f"vocabsize: {args.vocabsize} must be 1 or more")
    counts: Counter[str] = Counter()
    for path in args.text_files or [None]:
        for _, line in read_lines(path):
            counts.update(line.split())
    for word in NOT_COUNTED:
        del counts[word]
    total = counts.total()
    if not total:
        raise UserError(f"{' '.join(args.text_files) or 'stdin'}: holds no word")
    frequent = counts.most_common(args.vocabsize)  # of equals the one seen first
    words = sorted(word for word, count in frequent if count > args.cutoff)
    output = atomic_write(args.output or "-")
    with output as stream:
        stream.writelines(f"{w} {i}\n" for i, w in enumerate([UNK, *words], 1))
    oov = total - sum(counts[word] for word in words)
    print(
        f"OOV rate = {100 * oov / total:.2f} % ({oov} of {total} words)",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_command(main)
