#!/usr/bin/env python3
"""Print the value at a dotted path of a YAML file, nothing where there is none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import json

from espnet.utils.errors import run_command
from espnet.utils.options import OptionParser
from espnet.utils.yaml_edit import look_up
from espnet.utils.yaml_files import read_yaml


def parser() -> OptionParser:
    parser = OptionParser("get_yaml.py", __doc__ or "")
    parser.add_argument("inyaml", help="YAML file")
    parser.add_argument("attr", help="path such as a.b.0.c")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Text as it is; true, false, lists and mappings as shells and YAML read them."""
    args = parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        value = look_up(read_yaml(args.inyaml), args.attr)
    except KeyError:
        return
    if value is not None:
        plain = isinstance(value, (bool, dict, list))
        print(json.dumps(value, ensure_ascii=False, default=str) if plain else value)


if __name__ == "__main__":
    run_command(main)
