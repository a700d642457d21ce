#!/usr/bin/env python3
"""Write each matrix of a feats.scp as <utt>-feats.npy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from espnet.data.ark import iter_matrices
from espnet.utils.errors import run_command
from espnet.utils.files import atomic_write
from espnet.utils.options import OptionParser


def main(argv: Sequence[str] | None = None) -> None:
    """One file an utterance, float32."""
    parser = OptionParser("feats2npy.py", __doc__ or "")
    parser.add_argument("scp_file", help="feats.scp")
    parser.add_argument("out_dir", help="folder for the files")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    for key, matrix in iter_matrices(args.scp_file):
        with atomic_write(Path(args.out_dir, f"{key}-feats.npy"), "wb") as stream:
            np.save(stream, matrix)


if __name__ == "__main__":
    run_command(main)
