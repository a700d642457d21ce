#!/usr/bin/env python3
"""Write the data directories train and test of VIVOS."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet.data.corpus import Recording, corpus_parser, write_data_dir
from espnet.data.datadir_tables import write_table
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_table

SETS = ("train", "test")


def main(argv: Sequence[str] | None = None) -> None:
    """Write both sets."""
    args = corpus_parser(__doc__, "folder that holds train/ and test/").parse_args(argv)
    for name in SETS:
        found = list(recordings(args.corpus / name))
        write_data_dir(args.data / name, found)
        genders = read_table(args.corpus / name / "genders.txt")
        speakers = {recording.speaker for recording in found}
        write_table(
            args.data / name / "spk2gender",
            {key: value for key, value in genders.items() if key in speakers},
        )


def recordings(folder: Path) -> Iterator[Recording]:
    """The utterances that ``prompts.txt`` lists.

    An accented letter has several codings in Unicode; all texts get the composed one.

    Raises:
        UserError: no such file, or an utterance that is not ``<speaker>_<take>``.
    """
    prompts = folder / "prompts.txt"
    if not prompts.is_file():
        raise UserError(f"{prompts}: no such file; is this the VIVOS corpus?")
    for number, (key, text) in enumerate(read_table(prompts).items(), 1):
        speaker, mark, _ = key.rpartition("_")
        if not mark:
            raise UserError(f"{prompts}:{number}: expected '<speaker>_<take> words'")
        wav = folder / "waves" / speaker / f"{key}.wav"
        words = unicodedata.normalize("NFC", text).upper()
        yield Recording(key, speaker, wav, " ".join(words.split()))


if __name__ == "__main__":
    run_command(main)
