"""What the data preparation of recipes shares: get a corpus, write a data directory."""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from espnet.data.datadir_tables import spk2utt_of, write_table
from espnet.utils.errors import DataError, UserError

TIMEOUT = 60  # seconds without a byte of a download


class Recording(NamedTuple):
    """One utterance in a file of its own."""

    utterance: str  # begins with the speaker, so that both orders agree
    speaker: str
    wav: Path
    text: str


def write_data_dir(folder: Path, recordings: Iterable[Recording]) -> None:
    """Write ``wav.scp``, ``text``, ``utt2spk`` and ``spk2utt``, sorted.

    Raises:
        DataError: files that are missing, ids that occur twice.
        UserError: there is no recording.
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
        raise DataError(problems)
    if not table:
        raise UserError(f"{folder}: there is no recording to put into it")
    ordered = dict(sorted(table.items()))
    utt2spk = {key: item.speaker for key, item in ordered.items()}
    write_table(folder / "wav.scp", {k: str(item.wav) for k, item in ordered.items()})
    write_table(folder / "text", {k: item.text for k, item in ordered.items()})
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", spk2utt_of(utt2spk))


def fetch_corpus(
    places: Sequence[Path], has: str, archives: Sequence[str], urls: Sequence[str]
) -> Path:
    """Find an unpacked corpus, or else unpack its archive, or else download that.

    Args:
        places: folders to look in; only the last one is written to, as the others may
            be shared with other people.
        has: a file by which the corpus is recognised, relative to its folder.
        archives: names that its archive may have; a download gets the first.
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
        for path in top.iterdir():
            if not (target / path.name).exists():
                shutil.move(path, target / path.name)


def _safe_members(tar: tarfile.TarFile, archive: Path) -> list[tarfile.TarInfo]:
    """Files and folders, with rights to read, that stay below where they are put."""
    members = [m for m in tar.getmembers() if m.isfile() or m.isdir()]
    for member in members:
        if member.name.startswith("/") or ".." in Path(member.name).parts:
            raise UserError(f"{archive}: its '{member.name}' would land outside")
        member.mode |= 0o700 if member.isdir() else 0o600
    return members
