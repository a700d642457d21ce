#!/usr/bin/env python3
"""Write '<utt> frames,dimension' lines, read from the headers of feature archives."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.ark import iter_shapes
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.tables import read_table
from espnet.data.wavscp import parse_part, part_of_scp
from espnet.utils.errors import run_command
from espnet.utils.files import atomic_write
from espnet.utils.log import setup_logging
from espnet.utils.options import option


@dataclass(frozen=True)
class ShapeOptions:
    """Options of feat-to-shape.py."""

    filetype: str = option("mat", "kind of input", choices=("mat",))
    part: tuple = option((1, 1), "J/N: the J-th of N parts", parse=parse_part)
    verbose: int = option(0, "1: say what is done", aliases=("-V",))


def shapes(
    rspecifier: str, part: tuple[int, int]
) -> Iterable[tuple[str, tuple[int, ...]]]:
    """(utterance, shape) in order."""
    kind, _, name = rspecifier.partition(":")
    if kind.split(",")[0] == "scp" and name != "-":
        return iter_shapes((line.key, line.value) for line in part_of_scp(name, part))
    return ((key, matrix.shape) for key, matrix in read_table(rspecifier))


def main(argv: Sequence[str] | None = None) -> None:
    """Write the shapes."""
    args = parse_kaldi_command(
        ShapeOptions,
        argv,
        {
            "rspecifier": "features: scp:FILE or ark:FILE",
            "out": "a file, or - for stdout",
        },
        prog="feat-to-shape.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    output = nullcontext(sys.stdout) if args.out == "-" else atomic_write(args.out)
    with output as stream:
        for key, shape in shapes(args.rspecifier, args.part):
            stream.write(f"{key} {','.join(map(str, shape))}\n")


if __name__ == "__main__":
    run_command(main)
