#!/usr/bin/env python3
"""Write a changed copy of a YAML file and print its path."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.utils.errors import UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.options import OptionParser
from espnet.utils.yaml_edit import change, dump_yaml, name_after
from espnet.utils.yaml_files import read_yaml


def parser() -> OptionParser:
    parser = OptionParser("change_yaml.py", __doc__ or "")
    add = parser.add_argument
    several = {"action": "append", "default": []}
    add("inyaml", nargs="?", type=Path, help="file to start from; nothing if not given")
    add(
        "--outyaml",
        "-o",
        type=Path,
        help="file to write; else it is named after changes",
    )
    add("--outdir", type=Path, help="folder of a file named after its changes")
    add("--arg", "-a", **several, metavar="KEY=VALUE", help="set a value; key: a.b.0.c")
    add("--delete", "-d", **several, metavar="KEY", help="delete a key")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Without a change, an output name or folder the file itself is what is wanted."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    if args.outyaml and args.outdir:
        raise UserError("--outyaml and --outdir: give only one of them")
    config = read_yaml(args.inyaml) if args.inyaml else {}
    try:
        change(config, args.arg, args.delete)
    except UserError as error:
        raise UserError(f"{args.inyaml}: {error}" if args.inyaml else error) from None
    stem = args.inyaml.stem if args.inyaml else ""
    folder = args.outdir or (args.inyaml.parent if args.inyaml else Path())
    output = args.outyaml or folder / name_after(stem, args.arg, args.delete)
    if args.arg or args.delete or output != args.inyaml:
        with atomic_write(output) as stream:
            stream.write(dump_yaml(config))
    print(output)


if __name__ == "__main__":
    run_command(main)
