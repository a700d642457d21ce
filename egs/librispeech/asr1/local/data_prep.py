#!/usr/bin/env python3
"""Write the data directory of a part of LibriSpeech, such as train-clean-100."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet.data.corpus import Recording, write_data_dir
from espnet.utils.errors import DataError, UserError, run_command
from espnet.utils.lines import read_table, shorten


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", type=Path, help="folder <part>/<speaker>/<chapter>/")
    parser.add_argument("data", type=Path, help="folder for the data directory")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write it: dev-clean becomes dev_clean."""
    args = parser().parse_args(argv)
    name = args.part.name.replace("-", "_")
    found = list(recordings(args.part))
    write_data_dir(args.data / name, found)
    print(f"{name}: {len(found)} utterances")


def recordings(part: Path) -> Iterator[Recording]:
    """The utterances in ``speaker/chapter/speaker-chapter.trans.txt``.

    Those of a chapter are one speaker's, as in Kaldi's recipe: books differ in sound.

    Raises:
        UserError: there is no such file.
        DataError: sound files without a transcript.
    """
    files = sorted(part.glob("*/*/*.trans.txt"))
    if not files:
        raise UserError(f"{part}: has no <speaker>/<chapter>/*.trans.txt")
    problems = []
    for path in files:
        texts = read_table(path)
        for wav in sorted(path.parent.glob("*.flac")):
            if wav.stem not in texts:
                problems.append(f"{path}: has no line for {wav.name}")
        for utterance, text in texts.items():
            speaker = path.name.removesuffix(".trans.txt")
            wav = path.parent / f"{utterance}.flac"
            yield Recording(utterance, speaker, wav, text)
    if problems:
        raise DataError(shorten(problems))


if __name__ == "__main__":
    run_command(main)
