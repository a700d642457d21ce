"""Data directories of a user's own recordings: of a table, a folder, or Kaldi's."""

from __future__ import annotations

import csv
import random
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import soundfile

from espnet.data.audio import read_audio
from espnet.data.corpus import Recording, write_data_dir
from espnet.data.datadir import read_table, write_parts
from espnet.data.datadir_change import copy
from espnet.data.datadir_check import validate
from espnet.data.datadir_tables import spk2utt_of, write_table
from espnet.utils.errors import DataError, UserError, one_of
from espnet.utils.files import files_below
from espnet.utils.lines import read_lines, shorten, split_words

COLUMNS = {  # what may stand in the first line of a table
    "wav": ("wav", "path", "audio", "file", "filename", "file_name", "wav_filename"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "speaker": ("speaker", "speaker_id", "spk", "client_id"),
}
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".sph")
HELD_OUT = 0.05  # of the utterances, for each of dev and test
SPEAKERS = 10  # so many let dev and test have speakers of their own
FEWEST = 3  # utterances: one for each set
SECONDS_GUESSED = 5.0  # of an utterance whose length only its recording tells


class Entry(NamedTuple):
    """An utterance and the place, ``file:line``, that says so."""

    place: str
    recording: Recording


class Summary(NamedTuple):
    """What there is: numbers, hours (0 to infinity), sampling rates, what was done."""

    utterances: int
    speakers: int
    hours: float
    rates: tuple[int, ...]
    split: str


def prepare(kind: str, source: Path, data: Path, seed: int = 0) -> Summary:
    """Write the data directories train, dev and test.

    Args:
        kind: one of KINDS.
        source: the CSV file, the folder or the Kaldi directory.
        data: folder for the directories.
        seed: of the random choice of dev and test.

    Raises:
        DataError: every problem of the source, with ``file:line``.
        UserError: the source does not exist, or has too few utterances.
    """
    if kind not in KINDS:
        raise UserError(one_of("kind of source", kind, KINDS))
    everything = data / "local" / "all"
    if kind == "kaldi":
        seconds, rates = copy_kaldi(source, everything)
    else:
        entries = READERS[kind](source)
        seconds, rates = check_sounds(entries)
        write_data_dir(everything, [entry.recording for entry in entries])
    utt2spk = read_table(everything / "utt2spk")
    parts, said = split(utt2spk, seed)
    write_parts(everything, {data / name: utts for name, utts in parts.items()})
    speakers = len(set(utt2spk.values()))
    return Summary(len(utt2spk), speakers, seconds / 3600, rates, said)


def read_csv(path: Path) -> list[Entry]:
    """The utterances of a table with a header; columns by name, see COLUMNS.

    The separator is the header's comma, semicolon or tab. Paths start at the table's
    folder. Without a column for the speaker each utterance has its own.

    Raises:
        UserError: no such file, or a header without path or text.
        DataError: every line without a path or text, and files listed twice.
    """
    lines = [line for _, line in read_lines(path)]
    if not lines:
        raise UserError(f"{path}: is empty; its first line must name the columns")
    header = lines[0].lstrip("\ufeff")
    separator = max(",;\t", key=header.count)
    (_, names), *rows = _rows(path, lines, separator)
    names = [name.lstrip("\ufeff").strip().lower() for name in names]
    found = {
        what: next((names.index(name) for name in known if name in names), -1)
        for what, known in COLUMNS.items()
    }
    for what in ("wav", "text"):
        if found[what] < 0:
            known = ", ".join(COLUMNS[what])
            raise UserError(
                f"{path}:1: has no column for the {what}; name one of {known} (has:"
                f" {', '.join(names)})"
            )
    entries, problems = [], []
    for place, row in rows:
        if not any(row):
            continue
        name, text, speaker = (
            row[found[what]].strip() if 0 <= found[what] < len(row) else ""
            for what in COLUMNS
        )
        if not name:
            problems.append(f"{place}: has no path of a recording")
            continue
        wav = Path(path.parent, name).absolute()
        entries.append(_entry(place, name, speaker, wav, text))
    return _checked(entries, problems)


def _rows(
    path: Path, lines: Sequence[str], separator: str
) -> Iterator[tuple[str, list[str]]]:
    """``file:line`` where each row of a table begins, and its cells.

    Raises:
        UserError: quotes that are not closed, or stand inside of a quoted cell.
    """
    rows = csv.reader(
        (f"{line}\n" for line in lines),
        delimiter=separator,
        quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    start = 1
    try:
        for row in rows:
            yield f"{path}:{start}", row
            start = rows.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path}:{start}: the quotes are wrong ({error}); a cell that begins with "
            'a quote ends with one, and a quote inside of it is written ""'
        ) from None


def read_folder(folder: Path) -> list[Entry]:
    """The sound files below a folder that have a text file of the same name.

    In ``speaker/x.wav`` the first folder is the speaker; without one each utterance has
    its own.

    Raises:
        UserError: no such folder, or no sound file in it.
        DataError: every sound without text, text without sound, and empty text.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    files = files_below(folder)
    sounds = [path for path in files if path.suffix.lower() in SOUNDS]
    if not sounds:
        raise UserError(f"{folder}: has no {', '.join(SOUNDS)} files")
    entries, problems = [], []
    with_sound = {path.with_suffix(".txt") for path in sounds}
    for path in files:
        if path.suffix == ".txt" and path not in with_sound:
            problems.append(f"{path}: there is no recording beside it")
    for wav in sounds:
        text = wav.with_suffix(".txt")
        inside = wav.relative_to(folder)
        speaker = inside.parts[0] if len(inside.parts) > 1 else ""
        if not text.is_file():
            problems.append(f"{wav}: there is no {text.name} beside it")
            continue
        words = " ".join(line for _, line in read_lines(text))
        name = str(inside.with_suffix(""))
        name = name.removeprefix(f"{speaker}/")
        entries.append(_entry(str(text), name, speaker, wav.absolute(), words))
    return _checked(entries, problems)


READERS: dict[str, Callable[[Path], list[Entry]]] = {
    "csv": read_csv,
    "folder": read_folder,
}
KINDS = (*READERS, "kaldi")


def _entry(place: str, name: str, speaker: str, wav: Path, text: str) -> Entry:
    """An utterance whose id is its speaker and its name without odd characters."""
    utterance = _plain(re.sub(r"\.\w+$", "", name))
    speaker = _plain(speaker)
    if speaker and not utterance.startswith(f"{speaker}-"):
        utterance = f"{speaker}-{utterance}"
    words = " ".join(text.split())
    return Entry(place, Recording(utterance, speaker or utterance, wav, words))


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def _checked(entries: Sequence[Entry], problems: list[str]) -> list[Entry]:
    """The entries; raises the problems, those of two, of missing text and of sounds."""
    first: dict[str, str] = {}
    for place, recording in entries:
        if not recording.text:
            problems.append(f"{place}: has no text for {recording.wav}")
        before = first.setdefault(recording.utterance, place)
        if before != place:
            problems.append(
                f"{place}: '{recording.utterance}' is in {before} already; list a"
                " recording once, under a name of its own"
            )
    if problems:
        raise DataError(shorten(problems + _measure(entries)[2]))
    return list(entries)


def check_sounds(entries: Sequence[Entry]) -> tuple[float, tuple[int, ...]]:
    """All seconds of sound, and the sampling rates in Hz.

    Raises:
        DataError: every file that is missing, unreadable, empty or has two channels.
    """
    seconds, rates, problems = _measure(entries)
    if problems:
        raise DataError(shorten(problems))
    return seconds, rates


def _measure(entries: Sequence[Entry]) -> tuple[float, tuple[int, ...], list[str]]:
    """Seconds and rates of the sounds, and what is wrong with some."""
    seconds, rates, problems = 0.0, set(), []
    for place, recording in entries:
        try:
            info = soundfile.info(str(recording.wav))
        except (soundfile.SoundFileError, OSError):
            there = recording.wav.exists()
            why = "cannot be read as sound" if there else "no such file"
            problems.append(f"{place}: {recording.wav}: {why}")
            continue
        if info.frames == 0:
            problems.append(f"{place}: {recording.wav}: has no samples")
        if info.channels != 1:
            problems.append(
                f"{place}: {recording.wav}: has {info.channels} channels; make it one"
                " (sox in.wav out.wav remix 1)"
            )
        seconds += info.frames / info.samplerate
        rates.add(info.samplerate)
    return seconds, tuple(sorted(rates)), problems


def copy_kaldi(source: Path, target: Path) -> tuple[float, tuple[int, ...]]:
    """Copy a Kaldi data directory, with paths that hold from any folder.

    Args:
        source: the directory; what its wav.scp names starts at the current folder.
        target: where to write.

    Returns:
        Seconds of sound (partly guessed where commands make it), sampling rates.
    """
    report = validate(source, feats=False)
    problems = [str(problem) for problem in report.problems]
    if problems:
        raise DataError(shorten(problems))
    copy(source, target)
    for name in ("feats.scp", "utt2num_frames", "cmvn.scp"):  # are made anew
        (target / name).unlink(missing_ok=True)
    wavs, entries, commands = {}, [], []
    for number, (key, value) in enumerate(read_table(source / "wav.scp").items(), 1):
        place = f"{source / 'wav.scp'}:{number}"
        if value.endswith("|"):
            wavs[key] = f"cd {shlex.quote(str(Path.cwd()))} && {value}"
            commands.append(key)
            continue
        wavs[key] = str(Path(value).absolute())
        entries.append(Entry(place, Recording(key, key, Path(wavs[key]), "")))
    write_table(target / "wav.scp", wavs)
    seconds, rates = check_sounds(entries)
    if commands:
        rates = tuple(sorted({*rates, read_audio(wavs[commands[0]])[1]}))
    if (source / "segments").is_file():
        lengths = map(_seconds, read_table(source / "segments").values())
        return sum(lengths), rates
    return seconds + SECONDS_GUESSED * len(commands), rates


def _seconds(segment: str) -> float:
    """The length of ``<recording> <start> <end>``, guessed if it has no end (-1)."""
    _, start, end, *_ = split_words(segment)
    return SECONDS_GUESSED if float(end) == -1 else float(end) - float(start)


def split(utt2spk: Mapping[str, str], seed: int) -> tuple[dict[str, list[str]], str]:
    """The utterances of train, dev and test, and a line that says how.

    Dev and test get a twentieth each: whole speakers, if there are at least ten and
    that leaves four fifths to train on, or else utterances of any speaker.

    Raises:
        UserError: there are fewer utterances than sets.
    """
    if len(utt2spk) < FEWEST:
        raise UserError(f"there are {len(utt2spk)} utterances; {FEWEST} are the fewest")
    share = max(1, round(HELD_OUT * len(utt2spk)))
    chance = random.Random(seed)
    speakers = {k: v.split(" ") for k, v in spk2utt_of(utt2spk).items()}
    if len(speakers) >= SPEAKERS:
        names = sorted(speakers)
        chance.shuffle(names)
        parts: dict[str, list[str]] = {"test": [], "dev": [], "train": []}
        for name in names:
            part = next(p for p in parts if p == "train" or len(parts[p]) < share)
            parts[part] += speakers[name]
        if len(parts["train"]) >= 0.8 * len(utt2spk):
            counts = {k: len({utt2spk[utt] for utt in v}) for k, v in parts.items()}
            said = f"dev has {counts['dev']} and test {counts['test']} speakers"
            return _ordered(parts), f"{said} who are not in train"
    utts = sorted(utt2spk)
    chance.shuffle(utts)
    parts = {"test": utts[:share], "dev": utts[share : 2 * share]}
    parts["train"] = utts[2 * share :]
    return _ordered(parts), "dev and test have speakers of train, as there are so few"


def _ordered(parts: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: sorted(utts) for name, utts in parts.items()}
