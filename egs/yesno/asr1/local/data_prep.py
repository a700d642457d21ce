#!/usr/bin/env python3
"""Write the data directories train and test of the yesno corpus.

A file's name is what is said in it: 1_0_1_1_0_0_1_0.wav is YES NO YES YES NO NO YES NO.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mix_words import mixed

from espnet.data.corpus import Recording, corpus_parser, write_data_dir
from espnet.utils.errors import UserError, run_command

SPEAKER = "global"  # one man
TRAIN = 31  # recordings, in the order of their names; the other 29 are the test set
WORDS = {"0": "NO", "1": "YES"}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = corpus_parser(__doc__, "folder with the wav files")
    parser.add_argument(
        "--mixed", type=int, default=0, help="utterances to add to train"
    )
    parser.add_argument(
        "--dev",
        type=int,
        default=0,
        help="first ones of train, no words of which are mixed",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write both sets."""
    args = parser().parse_args(argv)
    wavs = sorted(args.corpus.glob("*.wav"))
    if len(wavs) <= TRAIN:
        raise UserError(f"{args.corpus}: has {len(wavs)} wav files, expected 60")
    train = [recording(wav) for wav in wavs[:TRAIN]]
    if args.mixed > 0:
        folder = args.data / "local" / "mixed"
        train += mixed(train[args.dev :], folder.absolute(), args.mixed)
    write_data_dir(args.data / "train", train)
    write_data_dir(args.data / "test", map(recording, wavs[TRAIN:]))


def recording(wav: Path) -> Recording:
    """The utterance in a file.

    Raises:
        UserError: its name has other parts than 0 and 1.
    """
    digits = wav.stem.split("_")
    if not set(digits) <= set(WORDS):
        raise UserError(f"{wav}: not a file of the corpus (named like 0_1_1_0.wav)")
    text = " ".join(WORDS[digit] for digit in digits)
    return Recording(f"{SPEAKER}-{wav.stem}", SPEAKER, wav, text)


if __name__ == "__main__":
    run_command(main)
