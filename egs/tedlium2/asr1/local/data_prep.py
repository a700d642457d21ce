#!/usr/bin/env python3
"""Write the data directories of TED-LIUM release 2, and text for its language model.

A talk is one SPHERE file; STM files say who speaks when and what.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from espnet.data.corpus import Segment, corpus_parser, write_segmented_dir
from espnet.data.datadir_tables import write_lines
from espnet.utils.errors import DataError, UserError, run_command
from espnet.utils.lines import read_lines, shorten

SETS = ("train", "dev", "test")
IGNORED = "ignore_time_segment_in_scoring"
# how a word is pronounced, silences, names of utterances; tags of noises stay
NOT_TEXT = re.compile(r"\(\d+\)|<sil>|\([^ ()]*\)$")
LABEL = re.compile(r"<[^<>]*>")
BRACKETS = str.maketrans("{}", "[]")  # of noises such as {BREATH}
VARIANT = re.compile(r"\(\d+\)$")


def main(argv: Sequence[str] | None = None) -> None:
    """Write the three sets and ``local/lm_sentences.txt``."""
    args = corpus_parser(
        __doc__,
        "folder that holds train/ and LM/",
        "folder for the data directories",
    ).parse_args(argv)
    words = read_words(args.corpus / "TEDLIUM.152k.dic")
    for name in SETS:
        wavs, segments = read_set(args.corpus / name, words)
        write_segmented_dir(args.data / name, wavs, segments)
        print(f"{name}: {len(wavs)} talks, {len(segments)} utterances")
    texts = sorted((args.corpus / "LM").glob("*.en.gz"))
    if not texts:
        raise UserError(f"{args.corpus / 'LM'}: has no *.en.gz with sentences")
    sentences = lm_sentences(texts, words)
    write_lines(args.data / "local" / "lm_sentences.txt", sentences)


def read_words(path: Path) -> set[str]:
    """The words of the pronunciation dictionary."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; is the corpus complete?")
    return {VARIANT.sub("", line.split()[0]) for _, line in read_lines(path) if line}


def read_set(
    folder: Path, words: Collection[str]
) -> tuple[dict[str, Path], list[Segment]]:
    """The talks of a set, and the utterances in them that are for scoring.

    Raises:
        UserError: the set has no STM file.
        DataError: every line of an STM file that is none.
    """
    stms = sorted((folder / "stm").glob("*.stm"))
    if not stms:
        raise UserError(f"{folder / 'stm'}: has no *.stm; is the corpus complete?")
    wavs: dict[str, Path] = {}
    segments, problems = [], []
    for stm in stms:
        for number, line in read_lines(stm):
            if line.startswith(";;") or not line.strip() or IGNORED in line:
                continue
            segment = parse_line(line, words)
            if segment is None:
                problems.append(
                    f"{stm}:{number}: expected 'talk channel speaker start end <labels>"
                    f" words', found '{line}'"
                )
            elif segment.text:
                segments.append(segment)
                talk = segment.recording
                wavs[talk] = folder / "sph" / f"{talk}.sph"
    if problems:
        raise DataError(shorten(problems))
    return wavs, segments


def parse_line(line: str, words: Collection[str]) -> Segment | None:
    """The utterance in a line of an STM file; None if the line is wrong."""
    fields = line.split(None, 5)
    try:
        start, end = float(fields[3]), float(fields[4])
    except (IndexError, ValueError):
        return None
    if not 0 <= start < end or len(fields) < 6:
        return None
    talk, text = fields[0], fields[5].strip()
    text = NOT_TEXT.sub(" ", LABEL.sub("", text, count=1))
    text = " ".join(join_suffixes(text.split(), words)).translate(BRACKETS)
    times = f"{round(start * 100):07d}-{round(end * 100):07d}"
    return Segment(f"{talk}-{times}", talk, talk, start, end, text)


def join_suffixes(tokens: Sequence[str], words: Collection[str]) -> list[str]:
    """``it 's`` -> ``it's``, where the dictionary has that word."""
    joined: list[str] = []
    for token in tokens:
        if token.startswith("'") and joined and joined[-1] + token in words:
            joined[-1] += token
        else:
            joined.append(token)
    return joined


def lm_sentences(paths: Sequence[Path], words: Collection[str]) -> Iterator[str]:
    """The sentences for the language model, joined like the transcripts."""
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                tokens = [word for word in line.split() if word not in ("<s>", "</s>")]
                if tokens:
                    yield " ".join(join_suffixes(tokens, words))


if __name__ == "__main__":
    run_command(main)
