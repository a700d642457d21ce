#!/usr/bin/env python3
"""Write the data.json of a Kaldi data directory; see data2json.sh."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.make_manifest import ManifestOptions, make_manifest
from espnet.data.manifest import save_json
from espnet.text.dictionary import Dictionary
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import OptionParser, parse_options, read_config

USAGE = "data2json.sh [options] <data-dir> <dict>"


def positionals(parser: OptionParser, _: Namespace) -> None:
    parser.add_argument("paths", nargs="*", metavar="<data-dir> <dict>")


def main(argv: Sequence[str] | None = None) -> int | None:
    """Exit status 1 and the usage where the positional arguments are not two."""
    args = parse_options(
        [ManifestOptions],
        argv,
        prog="data2json.sh",
        description=__doc__ or "",
        more=positionals,
    )
    if len(args.paths) != 2:
        print(f"usage: {USAGE} (--help lists the options)", file=sys.stderr)
        return 1
    setup_logging(args.verbose)
    options = read_config(ManifestOptions, args)
    data, dictionary = args.paths
    utts = make_manifest(Path(data), Dictionary.load(dictionary), options)
    save_json({"utts": utts}, options.out or None)
    return 0


if __name__ == "__main__":
    run_command(main)
