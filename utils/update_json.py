#!/usr/bin/env python3
"""Add transcripts to a data.json as one more output; see update_json.sh."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.make_manifest import TokenOptions, read_targets
from espnet.data.manifest import read_utts, save_json
from espnet.data.merge import add_json
from espnet.text.dictionary import Dictionary
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import OptionParser, option, parse_options, read_config


@dataclass(frozen=True)
class UpdateOptions(TokenOptions):
    """Options of update_json.sh."""

    verbose: int = option(0, "more than 0: say what is done")


def positionals(parser: OptionParser, _: Namespace) -> None:
    parser.add_argument("json", help="file to change; its old form goes to .backup/")
    parser.add_argument("data", help="data directory with text")
    parser.add_argument("dict", help="dictionary")


def main(argv: Sequence[str] | None = None) -> None:
    """Keep the utterances that both have."""
    args = parse_options(
        [UpdateOptions],
        argv,
        prog="update_json.sh",
        description=__doc__ or "",
        more=positionals,
    )
    setup_logging(args.verbose)
    path = Path(args.json)
    utts = read_utts(path)
    options = read_config(UpdateOptions, args)
    targets = read_targets(Path(args.data), Dictionary.load(args.dict), options)
    flat = {}
    for utt, target in targets.items():
        length, odim = target["shape"]
        texts = {key: target[key] for key in ("text", "token", "tokenid")}
        flat[utt] = {**texts, "olen": str(length), "odim": str(odim)}
    updated = add_json({args.json: utts, f"{args.data}/text": flat}, "output")
    backup = path.parent / ".backup"
    backup.mkdir(exist_ok=True)
    shutil.copy2(path, backup / path.name)
    save_json({"utts": updated}, path)


if __name__ == "__main__":
    run_command(main)
