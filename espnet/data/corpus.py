"""What the data preparation of recipes shares: get a corpus, write a data directory."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from espnet.data.datadir_tables import spk2utt_of, write_table
from espnet.utils.errors import DataError, UserError
from espnet.utils.lines import shorten

TIMEOUT = 60  # seconds without a byte of a download
PLAIN_SOUND = (".wav", ".flac", ".mp3", ".ogg")  # other names may be those of SPHERE


class Recording(NamedTuple):
    """One utterance in a file of its own."""

    utterance: str  # begins with the speaker, so that both orders agree
    speaker: str
    wav: Path
    text: str


class Segment(NamedTuple):
    """One utterance in a longer recording, from ``start`` to ``end`` in seconds."""

    utterance: str
    speaker: str
    recording: str
    start: float
    end: float
    text: str


def corpus_parser(
    description: str | None, corpus: str, data: str = "folder for train/ and test/"
) -> argparse.ArgumentParser:
    """A parser of the folders ``corpus`` and ``data``, with these texts as their help.

    Args:
        description: docstring of the command, of which ``--help`` shows the first line.
        corpus: what the corpus's folder holds.
        data: what is written.
    """
    first = (description or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=first)
    parser.add_argument("corpus", type=Path, help=corpus)
    parser.add_argument("data", type=Path, help=data)
    return parser


def write_data_dir(folder: Path, recordings: Iterable[Recording]) -> None:
    """Write ``wav.scp``, ``text``, ``utt2spk`` and ``spk2utt``, sorted.

    Raises:
        DataError: files that are missing, ids that occur twice.
        UserError: there is no recording, or compressed ones and no sph2pipe.
    """
    table: dict[str, Recording] = {}
    problems = []
    for recording in recordings:
        if recording.utterance in table:
            problems.append(f"{recording.wav}: id '{recording.utterance}' occurs twice")
        if not recording.wav.is_file():
            problems.append(f"{recording.wav}: no such file; is the corpus complete?")
        table[recording.utterance] = recording
    if problems:
        raise DataError(shorten(problems))
    _write_tables(
        folder,
        {key: item.wav for key, item in table.items()},
        {key: item.speaker for key, item in table.items()},
        {key: item.text for key, item in table.items()},
    )
    (folder / "segments").unlink(missing_ok=True)  # of an earlier run


def write_segmented_dir(
    folder: Path, wavs: Mapping[str, Path], segments: Iterable[Segment]
) -> None:
    """Write ``wav.scp``, ``segments``, ``text``, ``utt2spk`` and ``spk2utt``, sorted.

    Args:
        folder: the data directory.
        wavs: recording -> its file.
        segments: the utterances in the recordings.

    Raises:
        DataError: files that are missing, ids that occur twice.
        UserError: there is no utterance, or compressed files and no sph2pipe.
    """
    table: dict[str, Segment] = {}
    problems = [
        f"{wav}: no such file; is the corpus complete?"
        for wav in wavs.values()
        if not wav.is_file()
    ]
    for segment in segments:
        if segment.utterance in table:
            problems.append(
                f"{wavs[segment.recording]}: id '{segment.utterance}' occurs twice"
            )
        table[segment.utterance] = segment
    if problems:
        raise DataError(shorten(problems))
    _write_tables(
        folder,
        wavs,
        {key: item.speaker for key, item in table.items()},
        {key: item.text for key, item in table.items()},
    )
    lines = {
        key: f"{item.recording} {item.start:.2f} {item.end:.2f}"
        for key, item in table.items()
    }
    write_table(folder / "segments", lines)


def _write_tables(
    folder: Path,
    wavs: Mapping[str, Path],
    utt2spk: Mapping[str, str],
    texts: Mapping[str, str],
) -> None:
    if not utt2spk:
        raise UserError(f"{folder}: there is no recording to put into it")
    write_table(folder / "wav.scp", sound_sources(wavs))
    write_table(folder / "text", texts)
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", spk2utt_of(dict(sorted(utt2spk.items()))))


def sound_sources(wavs: Mapping[str, Path]) -> dict[str, str]:
    """What ``wav.scp`` has for sound files: a path, or a command of sph2pipe.

    Raises:
        UserError: files are compressed with shorten, and there is no sph2pipe.
    """
    compressed = [key for key, wav in wavs.items() if _is_shortened(wav)]
    if compressed and shutil.which("sph2pipe") is None:
        raise UserError(
            f"{wavs[compressed[0]]}: is compressed with shorten"
            f" ({len(compressed)} of {len(wavs)} files are); install sph2pipe, a"
            " free program of the LDC, so that it is on PATH; then run this stage again"
        )
    sources = {key: str(wav) for key, wav in wavs.items()}
    for key in compressed:
        sources[key] = f"sph2pipe -f wav -p {shlex.quote(str(wavs[key]))} |"
    return sources


def _is_shortened(wav: Path) -> bool:
    if wav.suffix.lower() in PLAIN_SOUND:
        return False
    with open(wav, "rb") as stream:
        head = stream.read(1024)
    return head.startswith(b"NIST_1A") and b"shorten" in head


def fetch_corpus(
    places: Sequence[Path], has: str, archives: Sequence[str], urls: Sequence[str]
) -> Path:
    """Find an unpacked corpus, or else unpack its archive, or else download that.

    Args:
        places: folders to look in; only the last one is written to, as the others may
            be shared with other people.
        has: a file by which the corpus is recognised, relative to its folder.
        archives: names that its archive may have; a download gets the first. If that
            is ``has``, the file itself is wanted, as it is.
        urls: addresses of the archive, tried in this order.

    Returns:
        The folder that holds ``has``: a place, or one up to two levels below it.

    Raises:
        UserError: nothing is there and no address answers, or an archive is damaged.
    """
    folder = _find(places, has)
    if folder is not None:
        return folder
    target = places[-1]
    target.mkdir(parents=True, exist_ok=True)
    candidates = [place / name for place in places for name in archives]
    archive = next((path for path in candidates if path.is_file()), None)
    if archive is None:
        archive = _download(urls, target / archives[0])
    if archive.name != has:
        _unpack(archive, target)
    folder = _find([target], has)
    if folder is None:
        raise UserError(f"{archive}: holds no {has}; is it the right archive?")
    return folder


def _find(places: Sequence[Path], has: str) -> Path | None:
    for place in places:
        for pattern in (has, f"*/{has}", f"*/*/{has}"):
            for path in sorted(place.glob(pattern)):
                return path.parents[has.count("/")]
    return None


def _download(urls: Sequence[str], path: Path) -> Path:
    """Fetch the first address that answers."""
    partial = path.with_name(f".{path.name}.part")
    failures = []
    for url in urls:
        print(f"downloading {url}", file=sys.stderr)
        try:
            with (
                urllib.request.urlopen(url, timeout=TIMEOUT) as source,
                open(partial, "wb") as copy,
            ):
                shutil.copyfileobj(source, copy)
                expected = source.headers.get("Content-Length")
            if expected is not None and partial.stat().st_size != int(expected):
                raise OSError("the connection ended early")
        except OSError as error:  # URLError and time-outs are OSErrors
            failures.append(f"{url} ({getattr(error, 'reason', error)})")
        else:
            partial.replace(path)
            return path
        finally:
            partial.unlink(missing_ok=True)
    raise UserError(
        f"cannot get {path.name} from {' or '.join(failures)}: get it on a machine with"
        " a network, put it into a folder DIR, and run again with --datadir DIR"
    )


def _unpack(archive: Path, target: Path) -> None:
    """Unpack by way of a temporary folder: a broken archive leaves nothing behind."""
    print(f"unpacking {archive} to {target}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=target, prefix=".unpack") as temporary:
        try:
            with tarfile.open(archive) as tar:
                # as this user's files; Python 3.10.0 to 3.10.11 have no such filter
                tar.extraction_filter = getattr(
                    tarfile, "data_filter", lambda member, path: member
                )
                tar.extractall(temporary, members=_safe_members(tar, archive))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UserError(
                f"{archive}: cannot be unpacked ({error}); delete it and get it again"
            ) from None
        top = Path(temporary)
        if [path.name for path in top.iterdir()] == ["downloads"]:
            top = top / "downloads"  # packed with the recipe's folder around it
        _move_into(top, target)


def _move_into(source: Path, target: Path) -> None:
    """Move what is in a folder; folders that are in both become one."""
    for path in source.iterdir():
        there = target / path.name
        if not there.exists():
            shutil.move(path, there)
        elif path.is_dir() and there.is_dir():
            _move_into(path, there)


def _safe_members(tar: tarfile.TarFile, archive: Path) -> list[tarfile.TarInfo]:
    """Files and folders, with rights to read, that stay below where they are put."""
    members = [m for m in tar.getmembers() if m.isfile() or m.isdir()]
    for member in members:
        if member.name.startswith("/") or ".." in Path(member.name).parts:
            raise UserError(f"{archive}: its '{member.name}' would land outside")
        member.mode |= 0o700 if member.isdir() else 0o600
    return members
