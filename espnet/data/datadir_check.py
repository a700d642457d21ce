"""Check a Kaldi data directory: every problem, with file:line and the remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from espnet.data.datadir import Problem, Scan, recording_of, scan, table_kinds
from espnet.data.datadir_tables import spk2utt_of
from espnet.utils.lines import split_words

# Tables that must have the same utterances where they exist.
SAME_UTTERANCES = (
    *("text", "text_spk*", "wav.scp", "segments", "utt2spk", "feats.scp"),
    *("utt2num_frames", "utt2dur", "utt2lang"),
)
MAKERS = {
    "text": "write '<utterance> <words>' lines there, or pass --no-text",
    "wav.scp": "write '<utterance> <path or command |>' lines there, or pass --no-wav",
    "feats.scp": "run utils/steps/make_fbank_pitch.sh {}, or pass --no-feats",
    "utt2spk": "write '<utterance> <speaker>' lines there",
    "spk2utt": "run utils/utt2spk_to_spk2utt.pl {0}/utt2spk > {0}/spk2utt",
}
EXAMPLES = 3


class Report(NamedTuple):
    """What is wrong with a data directory, and what may become a trouble."""

    problems: list[Problem]
    warnings: list[Problem]


def validate(
    directory: str | Path,
    *,
    text: bool = True,
    feats: bool = True,
    wav: bool = True,
    non_print: bool = False,
) -> Report:
    """Check the tables of a data directory, each alone and against each other.

    Args:
        directory: the data directory.
        text, feats, wav: whether ``text``, ``feats.scp`` and ``wav.scp`` must be there;
            False also leaves such a file unread.
        non_print: allow characters in ``text`` that cannot be printed.

    Raises:
        UserError: there is no such directory.
    """
    directory = Path(directory)
    wanted = {"text": text, "feats.scp": feats, "wav.scp": wav}
    kinds = {
        name: kind
        for name, kind in table_kinds(directory).items()
        if wanted.get("text" if fnmatch(name, "text_spk*") else name, True)
    }
    scans = {name: scan(directory / name) for name in kinds}
    problems = [
        Problem(directory / name, 0, "is missing", maker.format(directory))
        for name, maker in MAKERS.items()
        if name not in scans and wanted.get(name, True)
    ]
    for name, table in scans.items():
        problems += table.problems + table.unreadable
        if not table.entries:
            problems.append(Problem(table.path, 0, "is empty", "make it again"))
        check = next((c for pattern, c in CHECKS if fnmatch(name, pattern)), None)
        if check is not None:
            problems += check(table)
        if name.startswith("text") and not non_print:
            problems += _unprintable(table)
    problems += _compare_utterances(scans, kinds)
    problems += _compare_speakers(scans)
    problems += _compare_recordings(scans)
    problems.sort(key=lambda problem: (problem.path.name, problem.line))
    return Report(problems, [*_speaker_order(scans), *_unused_recordings(scans)])


def segment_fault(value: str) -> str | None:
    """What is wrong with ``<recording> <start> <end>``, or None.

    An end of -1 means the recording's end; a channel may follow.
    """
    words = split_words(value)
    if len(words) not in (3, 4):
        return "is not '<utterance> <recording> <start> <end>'"
    try:
        start, end = float(words[1]), float(words[2])
    except ValueError:
        return f"has times '{words[1]}' and '{words[2]}', which must be seconds"
    if not start >= 0:
        return f"starts at {words[1]} s, before its recording"
    if not (end > start or end == -1):
        return f"ends at {words[2]} s, not after its start at {words[1]} s"
    return None


def _check_text(table: Scan) -> Iterator[Problem]:
    remedy = (
        f"write its words, or let utils/fix_data_dir.sh {table.path.parent} drop it"
    )
    for key, value in table.entries.items():
        if not value:
            what = f"'{key}' has an empty transcript"
            yield Problem(table.path, table.lines[key], what, remedy)


def _unprintable(table: Scan) -> Iterator[Problem]:
    for key, value in table.entries.items():
        if value.isprintable():
            continue
        odd = next(c for c in value if not c.isprintable())
        if odd in "\t\r":
            continue  # listed as untidy
        what = f"'{key}' has the unprintable character U+{ord(odd):04X}"
        remedy = "delete it, or pass --non-print"
        yield Problem(table.path, table.lines[key], what, remedy)


def _check_wav(table: Scan) -> Iterator[Problem]:
    for key, value in table.entries.items():
        fault = None
        if value.endswith("|"):
            if not value.rstrip("| "):
                fault = "has an empty command", "write '<command> |'"
        elif not value:
            fault = "has no path", "write '<path>' or '<command> |' after it"
        else:
            fault = _path_fault(re.sub(r"(?<=.):[0-9]+$", "", value))
        if fault:
            what, remedy = fault
            yield Problem(table.path, table.lines[key], f"'{key}' {what}", remedy)


def _path_fault(path: str) -> tuple[str, str] | None:
    """(what, remedy) if a path cannot be read or holds nothing."""
    try:
        size = os.stat(path).st_size
    except OSError:
        words = split_words(path)
        if len(words) > 1 and not words[0].startswith((".", "/")):
            return f"is at '{path}', no such file", "end a command with ' |'"
        here = "" if os.path.isabs(path) else f" (looked for from {os.getcwd()})"
        return f"is at '{path}', no such file{here}", "correct the path"
    if size == 0:
        return f"is at '{path}', an empty file", "copy it again, or drop the line"
    return None


def _check_feats(table: Scan) -> Iterator[Problem]:
    known: dict[str, bool] = {}
    for key, value in table.entries.items():
        if value.endswith("|"):
            continue
        path = re.sub(r"(:[^:/]*)?(\[[0-9:,]*\])?$", "", value)
        if path not in known:
            known[path] = os.path.exists(path)
        if not known[path]:
            what = f"'{key}' is at '{value}', no such file"
            remedy = "make the features again"
            yield Problem(table.path, table.lines[key], what, remedy)


def _check_segments(table: Scan) -> Iterator[Problem]:
    remedy = f"correct it, or let utils/fix_data_dir.sh {table.path.parent} drop it"
    for key, value in table.entries.items():
        fault = segment_fault(value)
        if fault is not None:
            yield Problem(table.path, table.lines[key], f"'{key}' {fault}", remedy)


def _check_one_word(table: Scan) -> Iterator[Problem]:
    for key, value in table.entries.items():
        if len(split_words(value)) != 1:
            what = f"'{key}' must have one word after it, has '{value}'"
            yield Problem(table.path, table.lines[key], what, "correct the line")


def _check_amount(table: Scan) -> Iterator[Problem]:
    """Frames or seconds of each utterance."""
    for key, value in table.entries.items():
        try:
            good = float(value) > 0
        except ValueError:
            good = False
        if not good:
            what = f"'{key}' must have a number above 0 after it, has '{value}'"
            remedy = "delete this file and make it again"
            yield Problem(table.path, table.lines[key], what, remedy)


CHECKS: tuple[tuple[str, Callable[[Scan], Iterator[Problem]]], ...] = (
    ("text", _check_text),
    ("text_spk*", _check_text),
    ("wav.scp", _check_wav),
    ("feats.scp", _check_feats),
    ("segments", _check_segments),
    ("utt2spk", _check_one_word),
    ("utt2lang", _check_one_word),
    ("utt2num_frames", _check_amount),
    ("utt2dur", _check_amount),
)


def _compare_utterances(
    scans: Mapping[str, Scan], kinds: Mapping[str, str]
) -> Iterator[Problem]:
    """One problem for each utterance that some of the tables lack."""
    names = sorted(
        (i, name)
        for name, kind in kinds.items()
        for i, pattern in enumerate(SAME_UTTERANCES)
        if kind == "utt" and fnmatch(name, pattern)
    )
    tables = {name: scans[name] for _, name in names}
    seen: set[str] = set()
    for table in tables.values():
        for key, line in table.lines.items():
            if key in seen:
                continue
            seen.add(key)
            lacking = [n for n, other in tables.items() if key not in other.lines]
            if lacking:
                what = f"utterance '{key}' is not in {' and '.join(lacking)}"
                remedy = (
                    "add it there, or let utils/fix_data_dir.sh "
                    f"{table.path.parent} drop it"
                )
                yield Problem(table.path, line, what, remedy)


def _compare_speakers(scans: Mapping[str, Scan]) -> Iterator[Problem]:
    """Where spk2utt is not the inverse of utt2spk."""
    if "utt2spk" not in scans or "spk2utt" not in scans:
        return
    forward, backward = scans["utt2spk"], scans["spk2utt"]
    remedy = MAKERS["spk2utt"].format(forward.path.parent)
    expected = spk2utt_of(forward.entries)
    for speaker, utterances in expected.items():
        if speaker not in backward.entries:
            line = forward.lines[split_words(utterances)[0]]
            what = f"speaker '{speaker}' is not in spk2utt"
            yield Problem(forward.path, line, what, remedy)
    for speaker, line in backward.lines.items():
        listed = set(split_words(backward.entries[speaker]))
        meant = set(split_words(expected.get(speaker, "")))
        if not meant:
            what = f"speaker '{speaker}' is not in utt2spk"
            yield Problem(backward.path, line, what, remedy)
        elif listed != meant:
            parts = [("lacks", meant - listed), ("must not list", listed - meant)]
            what = " and ".join(f"{does} {_examples(s)}" for does, s in parts if s)
            what = f"speaker '{speaker}' {what}, says utt2spk"
            yield Problem(backward.path, line, what, remedy)


def _examples(keys: set[str]) -> str:
    shown = ", ".join(f"'{key}'" for key in sorted(keys)[:EXAMPLES])
    more = len(keys) - EXAMPLES
    return shown + (f" and {more} more" if more > 0 else "")


def _compare_recordings(scans: Mapping[str, Scan]) -> Iterator[Problem]:
    if "segments" not in scans or "wav.scp" not in scans:
        return
    segments, recordings = scans["segments"], scans["wav.scp"].entries
    remedy = (
        "add the recording there, or let utils/fix_data_dir.sh "
        f"{segments.path.parent} drop the utterance"
    )
    for key, value in segments.entries.items():
        if recording_of(value) not in recordings:
            what = f"'{key}' is cut from '{recording_of(value)}', not in wav.scp"
            yield Problem(segments.path, segments.lines[key], what, remedy)


def _unused_recordings(scans: Mapping[str, Scan]) -> Iterator[Problem]:
    if "segments" not in scans or "wav.scp" not in scans:
        return
    wav = scans["wav.scp"]
    used = {recording_of(value) for value in scans["segments"].entries.values()}
    unused = [key for key in wav.entries if key not in used]
    if unused:
        what = f"no segment is cut from {_examples(set(unused))}"
        yield Problem(wav.path, wav.lines[unused[0]], what, "harmless if you mean it")


def _speaker_order(scans: Mapping[str, Scan]) -> Iterator[Problem]:
    """Kaldi's tools want utt2spk sorted by utterance to be sorted by speaker too."""
    if "utt2spk" not in scans:
        return
    table, previous = scans["utt2spk"], ""
    for key, speaker in sorted(table.entries.items()):
        if speaker < previous:
            what = f"speaker '{speaker}' of '{key}' comes after speaker '{previous}'"
            remedy = "begin each utterance's name with its speaker's"
            yield Problem(table.path, table.lines[key], what, remedy)
            return
        previous = speaker
