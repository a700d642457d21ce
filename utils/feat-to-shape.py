#!/usr/bin/env python3
"""Write '<utt> frames,dimension' lines, read from the headers of feature archives."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.ark import iter_shapes
from espnet.data.containers import READERS, converted, read_entries
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.wavscp import parse_part, part_of_scp
from espnet.transform.transformation import utterance_chain
from espnet.utils.errors import run_command
from espnet.utils.files import atomic_write
from espnet.utils.log import setup_logging
from espnet.utils.options import option, read_config


@dataclass(frozen=True)
class ShapeOptions:
    """Options of feat-to-shape.py."""

    filetype: str = option("mat", "kind of input", choices=tuple(READERS))
    preprocess_conf: str = option("", "transforms that are applied first")
    part: tuple = option((1, 1), "J/N: the J-th of N parts", parse=parse_part)
    verbose: int = option(0, "1: say what is done", aliases=("-V",))


def shapes(
    rspecifier: str, options: ShapeOptions
) -> Iterable[tuple[str, tuple[int, ...]]]:
    """(utterance, shape) in order; from headers where that is all it takes."""
    kind, _, name = rspecifier.partition(":")
    conf, part = options.preprocess_conf, options.part
    if options.filetype == "mat" and not conf and kind.split(",")[0] == "scp":
        return iter_shapes((line.key, line.value) for line in part_of_scp(name, part))
    entries = read_entries(rspecifier, options.filetype, part)
    if conf:
        entries = converted(entries, utterance_chain(conf, train=False))
    return ((key, array.shape) for key, array, _ in entries)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the shapes."""
    args = parse_kaldi_command(
        ShapeOptions,
        argv,
        {
            "rspecifier": "features: scp:FILE or ark:FILE",
            "out": "a file; - or none: stdout",
        },
        stdout="out",
        prog="feat-to-shape.py",
        description=__doc__ or "",
    )
    setup_logging(args.verbose)
    options = read_config(ShapeOptions, args)
    with atomic_write(args.out) as stream:
        for key, shape in shapes(args.rspecifier, options):
            stream.write(f"{key} {','.join(map(str, shape))}\n")


if __name__ == "__main__":
    run_command(main)
