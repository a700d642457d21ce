#!/usr/bin/env python3
"""Extract features of (a part of) a data directory; called by steps/make_*.sh."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.extraction import (
    extract_features,
    fbank_extractor,
    fbank_pitch_extractor,
    mfcc_extractor,
)
from espnet.data.kaldi_options import parse_kaldi_command
from espnet.data.wavscp import parse_part
from espnet.utils.errors import run_command
from espnet.utils.log import setup_logging
from espnet.utils.options import option


@dataclass(frozen=True)
class ExtractOptions:
    """Options of extract-feats.py."""

    kind: str = option(
        "fbank", "kind of features", choices=("fbank", "fbank_pitch", "mfcc")
    )
    fbank_config: str = option("conf/fbank.conf", "options of the filter banks")
    mfcc_config: str = option("conf/mfcc.conf", "options of the MFCC")
    pitch_config: str = option("conf/pitch.conf", "options of the pitch")
    pitch_postprocess_config: str = option("", "further options of the pitch")
    paste_length_tolerance: int = option(
        2, "frames by which fbank and pitch may differ"
    )
    part: tuple = option((1, 1), "J/N: the J-th of N parts", parse=parse_part)
    compress: bool = option(True, "store with Kaldi's lossy compression")
    write_utt2num_frames: str = option("", "file for <utt> <frames> lines")
    write_utt2dur: str = option("", "file for <utt> <seconds> lines")


def main(argv: Sequence[str] | None = None) -> None:
    """Write the archive of one part, or list every utterance that failed."""
    args = parse_kaldi_command(
        ExtractOptions,
        argv,
        {
            "data": "directory with wav.scp and perhaps segments",
            "prefix": "output: PREFIX.ark and PREFIX.scp",
        },
        prog="extract-feats.py",
        description=__doc__ or "",
    )
    setup_logging(1)
    if args.kind == "fbank":
        extractor = fbank_extractor(args.fbank_config)
    elif args.kind == "mfcc":
        extractor = mfcc_extractor(args.mfcc_config)
    else:
        pitch_configs = [args.pitch_config, args.pitch_postprocess_config]
        extractor = fbank_pitch_extractor(
            args.fbank_config,
            [config for config in pitch_configs if config],
            args.paste_length_tolerance,
        )
    extract_features(
        extractor,
        args.data,
        args.prefix,
        part=args.part,
        compress=args.compress,
        utt2num_frames=args.write_utt2num_frames,
        utt2dur=args.write_utt2dur,
    )


if __name__ == "__main__":
    run_command(main)
