#!/usr/bin/env python3
"""Leave out the utterances of a data.json that are too short for their labels.

Takes all options of asr_train.py, for they say how much the model subsamples. With
--preprocess-conf, sizes must be those of what it makes, as data2json.sh writes them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.asr.short_samples import (
    FilterOptions,
    check_sizes,
    frames_per_output,
    parse_filter_options,
    too_short,
)
from espnet.data.manifest import load_manifest, save_json
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import shorten
from espnet.utils.log import setup_logging
from espnet.utils.options import read_config


def main(argv: Sequence[str] | None = None) -> None:
    """Write what is left, and say which utterances are not.

    Raises:
        UserError: options or data are wrong, or nothing is left.
    """
    args = parse_filter_options(argv, "filtering_samples.py", __doc__ or "")
    setup_logging(args.verbose)
    options = read_config(FilterOptions, args)
    utts = load_manifest(options.data_json)
    if args.preprocess_conf:
        check_sizes(utts, args.preprocess_conf, options.data_json)
    ratio = frames_per_output(args, utts, options.data_json)
    dropped = too_short(utts, ratio, options.min_io_delta)
    rule = f"input frames - labels x {ratio} < {options.min_io_delta:g}"
    if len(dropped) == len(utts):
        raise UserError(
            f"{options.data_json}: no utterance is left, all have {rule}; give a "
            "smaller --min-io-delta, or a model that subsamples less"
        )
    for uttid in dropped:
        del utts[uttid]
    save_json({"utts": utts}, options.output_json_path)
    print(
        f"{options.output_json_path}: {len(utts)} utterances of {options.data_json}; "
        f"left out: {len(dropped)} ({rule})"
    )
    if dropped:
        logging.warning("too short, left out: %s", ", ".join(shorten(dropped)))


if __name__ == "__main__":
    run_command(main)
