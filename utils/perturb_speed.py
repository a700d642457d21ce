#!/usr/bin/env python3
"""Change the speed of a recording: perturb_speed.py FACTOR FILE (-: stdin) > new.wav.

The result has 1 / FACTOR times the samples, as with sox's speed effect. For wav.scp:
'<utt> perturb_speed.py 0.9 a.wav |' or '<utt> command | perturb_speed.py 0.9 - |'.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.audio import decode_audio, encode_wav, perturb_speed, read_audio
from espnet.utils.errors import UserError, run_command


def parser() -> ArgumentParser:
    """The command line."""
    parser = ArgumentParser(prog="perturb_speed.py", description=__doc__)
    parser.add_argument("factor", type=float, help="above 1 is faster")
    parser.add_argument("file", help="audio file, or - for stdin")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the perturbed recording to stdout, as 16-bit WAV."""
    args = parser().parse_args(argv)
    if args.factor <= 0:
        raise UserError(f"the speed factor {args.factor:g} must be above 0")
    if args.file == "-":
        samples, rate = decode_audio(sys.stdin.buffer.read(), "stdin")
    else:
        samples, rate = read_audio(args.file)
    sys.stdout.buffer.write(encode_wav(perturb_speed(samples, args.factor), rate))


if __name__ == "__main__":
    run_command(main)
