#!/usr/bin/env python3
"""Write the data directories of CHiME-4: noisy training speech, tracks to decode."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from espnet.data.corpora.wsj import Discs, normalize, read_transcripts
from espnet.data.corpus import Recording, write_data_dir
from espnet.utils.errors import DataError, UserError, run_command
from espnet.utils.lines import read_lines, shorten

AUDIO = Path("data", "audio", "16kHz")
NOISY = "isolated"  # one file for each microphone: <id>.CH5.wav
KINDS = ("real", "simu")
TRN = re.compile(r"(?P<text>.*)\((?P<id>\w+)\)\s*")
NAME = re.compile(r"\s\(\w+\)\s*$")  # of the utterance, behind its words
FIELDS = ("speaker", "wsj_name", "environment")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--channels", default="5", help="microphones to train on, default: %(default)s")
    add(
        "--tracks",
        default="isolated_1ch_track",
        help=f"folders of enhanced speech, below {AUDIO} or paths: %(default)s",
    )
    add("--wsj0", type=Path, help="folder of WSJ0, for words that annotations lack")
    add("chime4", type=Path, help="the corpus's folder, named CHiME3 or CHiME4")
    add("data", type=Path, help="folder for the data directories")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write tr05_{real,simu,multi}_noisy and {dt05,et05}_{real,simu,multi}_<track>."""
    args = parser().parse_args(argv)
    audio = args.chime4 / AUDIO
    if not audio.is_dir():
        raise UserError(
            f"{audio}: no such folder; name the corpus's folder with --chime4-data"
        )
    channels = args.channels.split()
    wrong = [channel for channel in channels if channel not in tuple("123456")]
    if wrong or not channels:
        raise UserError(f"--channels: '{args.channels}' is not some of 1 2 3 4 5 6")
    suffixes = [f".CH{channel}" for channel in channels]
    corpus = Corpus(args.chime4, args.wsj0)
    write_parts(args.data, "tr05", "noisy", corpus, audio / NOISY, suffixes)
    for track in args.tracks.split():
        folder = Path(track) if Path(track).is_dir() else audio / track
        if not folder.is_dir():
            raise UserError(f"--tracks: there is no folder '{track}' nor {folder}")
        for part in ("dt05", "et05"):
            write_parts(args.data, part, folder.name, corpus, folder, [""])


class Corpus(NamedTuple):
    """The corpus's folder, and that of WSJ0's discs, of which it simulates."""

    chime4: Path
    wsj0: Path | None


def write_parts(
    data: Path, part: str, name: str, corpus: Corpus, folder: Path, suffixes: list[str]
) -> None:
    """Write the real recordings of a part, the simulated ones, and both together."""
    both: list[Recording] = []
    for kind in KINDS:
        texts = read_texts(corpus, f"{part}_{kind}")
        found = [
            Recording(
                f"{key}{suffix}_{kind.upper()}",
                key.split("_")[0],
                sound_file(folder / f"{part}_{place(key)}_{kind}", f"{key}{suffix}"),
                text,
            )
            for key, text in texts.items()
            for suffix in suffixes
        ]
        write_data_dir(data / f"{part}_{kind}_{name}", found)
        both += found
    write_data_dir(data / f"{part}_multi_{name}", both)
    print(f"{part}_multi_{name}: {len(both)} utterances")


def place(key: str) -> str:
    """Where it was said, as folders have it: F01_22GC010A_BUS -> bus."""
    return key.rpartition("_")[2].lower()


def sound_file(folder: Path, name: str) -> Path:
    """``name.wav``, or what a one-channel track calls it, ``name.CH4.wav``."""
    plain = folder / f"{name}.wav"
    if plain.is_file():
        return plain
    others = sorted(folder.glob(f"{name}.CH?.wav"))
    if len(others) > 1:
        raise UserError(
            f"{folder}: has {len(others)} microphones of {name}; a track has one:"
            " beamform them first, or name a folder that has isolated_1ch_track's form"
        )
    return others[0] if others else plain


def read_texts(corpus: Corpus, part: str) -> dict[str, str]:
    """Utterance -> its words, from annotations/<part>.json or transcriptions/.

    Raises:
        UserError: there is neither file.
        DataError: utterances of the JSON file that lack a field.
    """
    annotations = corpus.chime4 / "data" / "annotations" / f"{part}.json"
    transcriptions = corpus.chime4 / "data" / "transcriptions" / f"{part}.dot_all"
    if annotations.is_file():
        return read_annotations(annotations, corpus.wsj0)
    if not transcriptions.is_file():
        raise UserError(f"{annotations}: is not there, nor is {transcriptions}")
    texts = {}
    for number, line in read_lines(transcriptions):
        match = TRN.fullmatch(line)
        if match is None:
            raise UserError(
                f"{transcriptions}:{number}: expected 'words (utterance)', found"
                f" '{line}'"
            )
        texts[match["id"]] = normalize(match["text"])
    return texts


def read_annotations(path: Path, wsj0: Path | None) -> dict[str, str]:
    """Utterance -> its words, of a JSON list with an object for each.

    Where that has no words (``dot``), the simulated utterance has those of WSJ0's.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from None
    texts, silent, problems = {}, {}, []
    for number, entry in enumerate(entries, 1):
        lacking = [name for name in FIELDS if not entry.get(name)]
        if lacking:
            problems.append(f"{path}: entry {number} has no {', '.join(lacking)}")
            continue
        key = "_".join(str(entry[name]) for name in FIELDS)
        if entry.get("dot"):
            texts[key] = normalize(NAME.sub("", entry["dot"]))
        else:
            silent[key] = entry["wsj_name"].lower()
    if silent:
        told = wsj_texts(set(silent.values()), wsj0)
        for key, name in silent.items():
            if name in told:
                texts[key] = told[name]
            else:
                problems.append(
                    f"{path}: {key} has no 'dot', and no transcript of {name} is below"
                    f" --wsj0 {wsj0 or ''}"
                )
    if problems:
        raise DataError(shorten(problems))
    return texts


def wsj_texts(names: set[str], wsj0: Path | None) -> dict[str, str]:
    """Utterances of WSJ0, in small letters -> their words; none without its discs."""
    if wsj0 is None or not wsj0.is_dir():
        return {}
    discs = Discs({"--wsj0": wsj0})
    return read_transcripts(discs, {name[:6] for name in names})


if __name__ == "__main__":
    run_command(main)
