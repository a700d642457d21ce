#!/usr/bin/env python3
"""Replace words by their numbers: sym2int.pl SYMBOLS [FILE]."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data.datadir_tables import fields_type, map_fields, read_map, write_lines
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-f", "--field", type=fields_type, help="which words, as 2, 2- or 2-4"
    )
    parser.add_argument(
        "--map-oov", help="number or symbol for words that have no number"
    )
    parser.add_argument("symbols", help="file with lines '<word> <number>'")
    parser.add_argument("file", nargs="?", help="the text, or stdin")
    args = parser.parse_args(argv)
    table = read_map(args.symbols)
    oov = args.map_oov
    if oov is not None and not oov.isdecimal():
        if oov not in table:
            raise UserError(f"--map-oov: '{oov}' is not in {args.symbols}")
        oov = table[oov]
    missed = Counter()
    lines = map_fields(
        read_lines(args.file),
        table,
        fields=args.field,
        missing=oov,
        what=f"{args.symbols}; add it there, or pass --map-oov",
        name=args.file or "stdin",
        missed=missed,
    )
    write_lines(None, lines)
    if missed:
        words = ", ".join(word for word, _ in missed.most_common(10))
        print(
            f"sym2int.pl: replaced {missed.total()} words that {args.symbols} lacks by "
            f"{oov}: {words}{', ...' if len(missed) > 10 else ''}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run_command(main)
