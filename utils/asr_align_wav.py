#!/usr/bin/env python3
"""Find where a text is said in a recording; see asr_align_wav.sh."""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.asr.bundle import named_models
from espnet.asr.wav_options import changes, parse_wav_options
from espnet.utils.errors import UserError, run_command
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_lines
from espnet.utils.log import setup_logging
from espnet.utils.options import option, parse_options

if TYPE_CHECKING:
    from espnet.asr.align_corpus import Segment

ALIGNING = 4  # the stage; ESPnet1's 0 to 3, files of features, are part of it
NOT_NEEDED = {
    "python": "the python3 on the path runs it",
    "api": "an alignment needs no search",
    "dict": "model.json has the tokens",
    "nlsyms": "model.json has the tokens",
    "download_dir": "nothing is downloaded",
}


@dataclass(frozen=True, kw_only=True)
class AlignWavOptions:
    """Options of asr_align_wav.sh besides those of the recogniser."""

    align_model: str = option("", "weights, instead of those of --models")
    align_config: str = option("", "YAML file with options of asr_align.py")
    align_dir: str = option("align", "folder of the results")
    forced: bool = option(False, "the text covers the whole recording")
    subsampling_factor: int | None = option(
        None, "input frames of an encoder frame; else the model's own"
    )
    min_confidence_score: float = option(
        -5.0, "worse segments are left out of aligned_segments_clean"
    )
    min_window_size: int = option(8000, "as in asr_align.py")
    scoring_length: int = option(30, "as in asr_align.py")
    stage: int = option(-1, "up to 4: align; above: nothing")
    stop_stage: int = option(100, "below 4: only look at the files")
    python: str = option("", f"not needed: {NOT_NEEDED['python']}")
    api: str = option("", f"not needed: {NOT_NEEDED['api']}")
    dict: str = option("", f"not needed: {NOT_NEEDED['dict']}")
    nlsyms: str = option("", f"not needed: {NOT_NEEDED['nlsyms']}")
    download_dir: str = option("", f"not needed: {NOT_NEEDED['download_dir']}")


def main(argv: Sequence[str] | None = None) -> None:
    """Write aligned_segments, aligned_segments_clean and words.ctm."""
    args = parse_wav_options(
        AlignWavOptions,
        argv,
        prog="asr_align_wav.sh",
        description=__doc__ or "",
        text="what is said, or a file of such lines",
    )
    setup_logging(args.verbose)
    for name, reason in NOT_NEEDED.items():
        if getattr(args, name):
            logging.warning("--%s: %s", name.replace("_", "-"), reason)
    if not Path(args.wav).is_file():
        raise UserError(f"{args.wav}: no such file")
    path = named_models(args.models, args.align_model)
    folder = Path(args.align_dir)
    with atomic_write(folder / "utt_text") as stream:
        stream.writelines(segments_of(args.text, Path(args.wav).stem))
    if args.stage <= ALIGNING <= args.stop_stage:
        align_wav(path, folder, args)


def segments_of(text: str, base: str) -> list[str]:
    """Lines ``<segment> <text>`` of a text, or of a file with a line a segment.

    A line that begins with a name of a segment (``<base>...``) keeps it.
    """
    if not os.path.isfile(text):  # unlike Path's, it takes a text of any length
        return [f"{base}_0000 {text}\n"]
    lines = [line.strip() for _, line in read_lines(text) if line.strip()]
    if not lines:
        raise UserError(f"{text}: has no line of text; a line is a segment")
    if all(line.startswith(base) for line in lines):
        return [f"{line}\n" for line in lines]
    return [f"{base}_{number:04d} {line}\n" for number, line in enumerate(lines)]


def align_wav(path: str, folder: Path, args: Namespace) -> None:
    """Compute features, align, write what was found."""
    from espnet.asr.align_corpus import align_recording
    from espnet.asr.align_options import AlignOptions
    from espnet.asr.pack import opened_bundle
    from espnet.asr.words import write_ctm

    with opened_bundle(path, changes(args, args.align_model)) as bundle:
        argv = ["--model", bundle.model, "--data-json", "-", "--output", "-"]
        argv += ["--utt-text", str(folder / "utt_text"), "--ngpu", str(args.ngpu)]
        argv += ["--min-window-size", str(args.min_window_size)]
        argv += ["--scoring-length", str(args.scoring_length)]
        argv += ["--forced", str(args.forced)]
        if args.subsampling_factor is not None:
            argv += ["--subsampling-factor", str(args.subsampling_factor)]
        if args.align_config:
            argv += ["--config", args.align_config]
        options = parse_options(
            [AlignOptions], argv, prog="", config_files=True, strict_configs=False
        )
        segments, words = align_recording(bundle, args.wav, options)
    base = Path(args.wav).stem
    write_segments(segments, base, folder / "aligned_segments")
    good = [s for s in segments if s.score > args.min_confidence_score]
    write_segments(good, base, folder / "aligned_segments_clean")
    write_ctm({base: words}, str(folder / "words.ctm"))
    for segment in segments:
        print(segment.line(base))


def write_segments(segments: Sequence[Segment], base: str, path: Path) -> None:
    """Write segments as asr_align.py does."""
    with atomic_write(path) as stream:
        stream.writelines(f"{segment.line(base)}\n" for segment in segments)


if __name__ == "__main__":
    run_command(main)
