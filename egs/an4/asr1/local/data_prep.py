#!/usr/bin/env python3
"""Write the data directories train and test of the AN4 corpus (SPHERE files)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet.data.corpus import Recording, corpus_parser, write_data_dir
from espnet.utils.errors import UserError, run_command
from espnet.utils.lines import read_lines

FOLDERS = {"train": "an4_clstk", "test": "an4test_clstk"}
LINE = re.compile(r"(?:<s> )?(?P<text>.+?)(?: </s>)? \((?P<file>[^-]+-[^-]+-[^-]+)\)")


def main(argv: Sequence[str] | None = None) -> None:
    """Write both sets."""
    args = corpus_parser(__doc__, "folder that holds etc/ and wav/").parse_args(argv)
    for name in FOLDERS:
        write_data_dir(args.data / name, recordings(args.corpus, name))


def recordings(corpus: Path, name: str) -> Iterator[Recording]:
    """The utterances that ``etc/an4_<name>.transcription`` lists.

    Raises:
        UserError: no such file, or a line that is not ``[<s>] WORDS [</s>] (a-b-c)``.
    """
    transcription = corpus / "etc" / f"an4_{name}.transcription"
    if not transcription.is_file():
        raise UserError(f"{transcription}: no such file; is this the AN4 corpus?")
    for number, line in read_lines(transcription):
        match = LINE.fullmatch(line.strip())
        if match is None:
            place = f"{transcription}:{number}"
            raise UserError(f"{place}: expected 'WORDS (a-b-c)', found '{line}'")
        kind, speaker, take = match["file"].split("-")
        wav = corpus / "wav" / FOLDERS[name] / speaker / f"{match['file']}.sph"
        yield Recording(f"{speaker}-{kind}-{take}", speaker, wav, match["text"])


if __name__ == "__main__":
    run_command(main)
