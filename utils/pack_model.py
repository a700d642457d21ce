#!/usr/bin/env python3
"""One file with all that a recogniser needs, with checksums.

With exp/<name> as its argument, what stage 5 of a recipe noted there; or as ESPnet1's
pack_model.sh, with TRAIN_CONF DECODE_CONF CMVN MODEL, and --lm and --dict.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.asr.bundle import Bundle, bundle_of, find_bundle, read_bundle
from espnet.utils.errors import UsageError, run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import OptionParser, option, parse_options

ABOUT_FEATURES = ("feats", "fbank_config", "pitch_config", "mfcc_config", "bpemodel")


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """Options of pack_model.sh; what is not given is as recogniser.yaml has it."""

    outfile: str = option("model", "archive: x.zip or x.tar.gz; model: model.tar.gz")
    results: str = option("", "further files for results/, such as 'RESULTS.md'")
    lm: str = option("", "language model, of tokens or of words (rnnlm.model.best)")
    dict: str = option("", "dictionary; only for people, model.json has the tokens")
    etc: str = option("", "further files for etc/")
    preprocess_conf: str = option("", "on-the-fly preprocessing of the training")
    feats: str = option(
        "", "kind of features", choices=("", "fbank", "fbank_pitch", "mfcc")
    )
    fbank_config: str = option("", "Kaldi options of the filter banks")
    pitch_config: str = option("", "Kaldi options of the pitch")
    mfcc_config: str = option("", "Kaldi options of the MFCC")
    bpemodel: str = option("", "sentencepiece model of the dictionary")
    do_delta: bool | None = option(None, "whether features have deltas")


def main(argv: Sequence[str] | None = None) -> None:
    """Write the archive and print its files as a Markdown list."""

    def positionals(parser: OptionParser, _: Namespace) -> None:
        parser.add_argument(
            "what", nargs="+", help="exp/<name>, or TRAIN_CONF DECODE_CONF CMVN MODEL"
        )

    args = parse_options(
        [PackOptions],
        argv,
        prog="pack_model.sh",
        description=__doc__ or "",
        more=positionals,
    )
    setup_logging(1)
    from espnet.asr import pack as archive  # late: --help needs no torch

    bundle, more = described(args)
    if len(args.what) == 4:  # as ESPnet1: a language model must be named
        bundle = replace(bundle, **archive.WITHOUT_LANGUAGE_MODEL)
    bundle = archive.with_named_files(bundle)
    if args.lm:
        bundle = archive.with_language_model(bundle, args.lm)
    outfile = args.outfile
    if not outfile.endswith((".zip", ".tar.gz", ".tgz")):
        outfile += ".tar.gz"
    bundle = archive.with_preprocessing(bundle)
    names = archive.pack(bundle, outfile, more)
    print(f"- Model files (in {outfile}, made by `pack_model.sh`)")
    for name in names:
        print(f"  - `{name}`")


def described(args: Namespace) -> tuple[Bundle, dict[str, Path]]:
    """What to pack: the recogniser, and further files by their names in the archive."""
    more: dict[str, Path] = {}
    given = {key: getattr(args, key) for key in ABOUT_FEATURES if getattr(args, key)}
    if args.do_delta is not None:
        given["do_delta"] = args.do_delta
    if args.preprocess_conf:
        given["preprocess_conf"] = args.preprocess_conf
    if len(args.what) == 4:
        train_conf, decode_conf, cmvn, model = args.what
        more[f"conf/{Path(train_conf).name}"] = Path(train_conf)
        given |= {"decode_config": decode_conf, "cmvn": cmvn, "model": model}
        found = find_bundle(model)
        known = read_bundle(found) if found else Bundle(model=model)
        bundle = replace(known, **given)
    elif len(args.what) == 1:
        bundle = bundle_of(args.what[0], given)
    else:
        raise UsageError(
            f"expected exp/<name>, or TRAIN_CONF DECODE_CONF CMVN MODEL, got "
            f"{len(args.what)} arguments"
        )
    for folder in ("results", "etc"):
        for file in getattr(args, folder).split():
            more[f"{folder}/{Path(file).name}"] = Path(file)
    if args.dict:
        more[f"data/{Path(args.dict).name}"] = Path(args.dict)
    return bundle, more


if __name__ == "__main__":
    run_command(main)
