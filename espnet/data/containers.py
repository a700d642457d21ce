"""Tables of arrays in any of the containers that ``filetype`` names.

``mat`` is Kaldi's archive; ``hdf5`` has a data set for each key; an entry of
``sound.hdf5`` is the content of a sound file; ``sound`` are sound files themselves, in
a folder. Features are (T, D); sound is (T,) or (T, C) at the scale of 16-bit integers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import IO, Any, NamedTuple

import numpy as np

from espnet.data.ark import (
    COMPRESSION_METHODS,
    SPEECH_FEATURE,
    ScpLine,
    iter_ark,
    iter_scp,
    open_ark_writer,
    read_arrays,
    read_scp,
)
from espnet.data.audio import (
    SOUND_FORMATS,
    decode_audio,
    encode_sound,
    read_audio,
    select_channel,
)
from espnet.data.tables import (
    Destination,
    open_input,
    parse_rspecifier,
    parse_wspecifier,
    plain_path,
)
from espnet.data.wavscp import cut, parse_segments, part_of_scp
from espnet.utils import hdf5
from espnet.utils.errors import UserError, one_of
from espnet.utils.files import atomic_write
from espnet.utils.options import option


class Entry(NamedTuple):
    """One array of a table; ``rate`` in Hz is 0 for what is no sound."""

    key: str
    array: np.ndarray
    rate: int = 0


Convert = Callable[[str, np.ndarray], np.ndarray]
Write = Callable[[Entry], None]
Lines = Iterable[ScpLine] | None  # of an scp file; None: read the whole archive


def read_entries(
    rspecifier: str, filetype: str = "mat", part: tuple[int, int] = (1, 1)
) -> Iterator[Entry]:
    """Read a table in order, one entry in memory at a time.

    Args:
        rspecifier: ``scp:FILE``; ``ark:FILE`` for mat, hdf5 and sound.hdf5.
        filetype: a key of READERS.
        part: (J, N): the J-th of N parts of an scp file.

    Raises:
        UserError: no rspecifier, a missing or damaged file, a command that failed.
    """
    kind, name = parse_rspecifier(rspecifier)
    if filetype not in READERS:
        raise UserError(one_of("filetype", filetype, READERS))
    lines = None
    if kind == "scp":
        lines = iter_scp(name) if part[1] == 1 else part_of_scp(name, part)
    return READERS[filetype](lines, name)


def read_sounds(
    rspecifier: str, segments: str = "", part: tuple[int, int] = (1, 1)
) -> Iterator[Entry]:
    """Read the sounds of a wav.scp, or of the segments of its recordings.

    Args:
        rspecifier: ``scp:FILE``.
        segments: a file of lines ``utt recording start end``; empty: whole recordings.
        part: (J, N): the J-th of N parts.

    Raises:
        UserError: as :func:`read_entries`, and what is wrong with a segment.
    """
    if not segments:
        yield from read_entries(rspecifier, "sound", part)
        return
    kind, name = parse_rspecifier(rspecifier)
    if kind == "ark":
        raise UserError(f"'{rspecifier}': with --segments, must be scp:FILE")
    source, samples, rate = "", np.zeros(0), 0
    lines = part_of_scp(segments, part)
    for utterance in parse_segments(lines, segments, read_scp(name)):
        try:
            if utterance.source != source:
                source, (samples, rate) = utterance.source, read_audio(utterance.source)
            sound = cut(samples, rate, utterance)
            if utterance.channel >= 0:
                sound = select_channel(sound, utterance.channel, "")[:, None]
        except UserError as error:
            raise UserError(f"{utterance.place}: {utterance.key}: {error}") from None
        yield _sound(utterance.key, sound, rate)


def _read_mat(lines: Lines, name: str) -> Iterator[Entry]:
    if lines is not None:
        for line, array in read_arrays(lines, name):
            yield Entry(line.key, np.array(array, dtype=np.float32, order="C"))
        return
    with open_input(name) as stream:
        for key, array in iter_ark(stream, name, ndim=None):
            yield Entry(key, array)


def _read_hdf5(lines: Lines, name: str) -> Iterator[Entry]:
    for key, array, _ in _data_sets(lines, name):
        yield Entry(key, np.asarray(array, dtype=np.float32))


def _read_sound_hdf5(lines: Lines, name: str) -> Iterator[Entry]:
    for key, array, place in _data_sets(lines, name):
        yield _sound(key, *decode_audio(array.tobytes(), place))


def _read_sound(lines: Lines, name: str) -> Iterator[Entry]:
    if lines is None:
        raise UserError(f"'ark:{name}': sound files are read by scp:FILE")
    for number, key, source in lines:
        try:
            yield _sound(key, *read_audio(source))
        except UserError as error:
            raise UserError(f"{name}:{number}: {key}: {error}") from None


def _sound(key: str, samples: np.ndarray, rate: int) -> Entry:
    return Entry(key, samples[:, 0] if samples.shape[1] == 1 else samples, rate)


def _data_sets(lines: Lines, name: str) -> Iterator[tuple[str, np.ndarray, str]]:
    """(key, data set, place) of a whole HDF5 file, or of the places of an scp file."""
    if lines is None:
        with hdf5.reading(name) as file:
            for key in file:
                yield key, hdf5.read_dataset(file, key, name), f"{name}:{key}"
        return
    opened: tuple[str, Any] = ("", None)
    with ExitStack() as stack:
        for number, key, place in lines:
            path, colon, inside = place.rpartition(":")
            try:
                if not colon:
                    raise UserError(f"'{place}': expected 'file.h5:key'")
                if path != opened[0]:
                    stack.close()
                    opened = (path, stack.enter_context(hdf5.reading(path)))
                array = hdf5.read_dataset(opened[1], inside, path)
            except UserError as error:
                raise UserError(f"{name}:{number}: {key}: {error}") from None
            yield key, array, place


READERS: dict[str, Callable[[Lines, str], Iterator[Entry]]] = {
    "mat": _read_mat,
    "hdf5": _read_hdf5,
    "sound.hdf5": _read_sound_hdf5,
    "sound": _read_sound,
}
SOUNDS = ("sound.hdf5", "sound")


@dataclass(frozen=True)
class StoreOptions:
    """How a program stores the table that it writes."""

    write_num_frames: str = option("", "ark,t:FILE for <utt> <frames> lines")
    compress: bool = option(False, "Kaldi's lossy compression; in HDF5: gzip")
    compression_method: int = option(
        SPEECH_FEATURE, "Kaldi's number: 1 automatic, 2 speech features, ... 7"
    )
    verbose: int = option(0, "1: say what is done", aliases=("-V",))

    def check(self) -> None:
        """Refuse unknown compression methods."""
        if self.compression_method not in COMPRESSION_METHODS:
            raise UserError(
                f"--compression-method={self.compression_method}: must be 1 to 7"
            )


@dataclass(frozen=True)
class TableOptions(StoreOptions):
    """Options of the programs that read one table of features and write another."""

    in_filetype: str = option("mat", "kind of input", choices=tuple(READERS))
    out_filetype: str = option("mat", "kind of output", choices=("mat", "hdf5"))


def write_table(
    entries: Iterable[Entry],
    wspecifier: str,
    options: StoreOptions,
    filetype: str = "mat",
    audio_format: str | None = None,
) -> int:
    """Write all entries; returns their number.

    Args:
        entries: of the table.
        wspecifier: ``ark:FILE`` or ``ark,scp:FILE,SCP``; for sound FILE is a folder.
        options: compression, and the file for the numbers of frames.
        filetype: a key of WRITERS.
        audio_format: of the entries of a sound container, such as flac; default: as the
            name of the file says (``x.flac.h5``), else flac in HDF5 and wav in folders.

    Raises:
        UserError: no wspecifier, or from reader or writer; nothing is kept then.
    """
    if filetype not in WRITERS:
        raise UserError(one_of("filetype", filetype, WRITERS))
    place = parse_wspecifier(wspecifier)
    counts = options.write_num_frames
    done = 0
    with ExitStack() as stack:
        make = WRITERS[filetype]
        write = stack.enter_context(make(place, options, audio_format))
        lines = (
            stack.enter_context(atomic_write(plain_path(counts))) if counts else None
        )
        for entry in entries:
            write(entry)
            if lines is not None:
                lines.write(f"{entry.key} {len(entry.array)}\n")
            done += 1
    logging.info("%d entries written to %s", done, wspecifier)
    return done


def converted(entries: Iterable[Entry], convert: Convert) -> Iterator[Entry]:
    """Each entry with ``convert(key, array)``.

    Raises:
        UserError: of the conversion, with the key.
    """
    for entry in entries:
        try:
            yield entry._replace(array=convert(entry.key, entry.array))
        except UserError as error:
            raise UserError(f"{entry.key}: {error}") from None


@contextmanager
def _mat_writer(
    place: Destination, options: StoreOptions, _: str | None
) -> Iterator[Write]:
    with open_ark_writer(
        place.ark,
        place.scp,
        compress=options.compress,
        method=options.compression_method,
        text=place.text,
    ) as writer:
        yield lambda entry: writer.write(entry.key, entry.array)


@contextmanager
def _hdf5_writer(
    place: Destination, options: StoreOptions, _: str | None
) -> Iterator[Write]:
    settings = {"compression": "gzip"} if options.compress else {}
    with _index(place.scp) as scp, hdf5.writing(place.ark) as file:

        def write(entry: Entry) -> None:
            _create(file, entry.key, entry.array, **settings)
            scp(entry.key, f"{place.ark}:{entry.key}")

        yield write


@contextmanager
def _sound_hdf5_writer(
    place: Destination, _: StoreOptions, audio_format: str | None
) -> Iterator[Write]:
    suffix = PurePath(PurePath(place.ark).stem).suffix.lstrip(".")
    chosen = audio_format or (suffix if suffix in SOUND_FORMATS else "flac")
    encode = partial(_encode, audio_format=chosen)
    with _index(place.scp) as scp, hdf5.writing(place.ark) as file:

        def write(entry: Entry) -> None:
            content = np.frombuffer(encode(entry), dtype=np.uint8)
            _create(file, entry.key, content)
            scp(entry.key, f"{place.ark}:{entry.key}")

        yield write


@contextmanager
def _sound_writer(
    place: Destination, _: StoreOptions, audio_format: str | None
) -> Iterator[Write]:
    chosen = audio_format or "wav"
    with _index(place.scp) as scp:

        def write(entry: Entry) -> None:
            path = Path(place.ark, f"{entry.key}.{chosen}")
            with atomic_write(path, "wb") as stream:
                stream.write(_encode(entry, chosen))
            scp(entry.key, str(path))

        yield write


@contextmanager
def _index(path: str | None) -> Iterator[Callable[[str, str], None]]:
    """A function that adds a line to an scp file, or does nothing without one."""
    if path is None:
        yield lambda key, place: None
        return
    with atomic_write(path) as stream:
        lines: IO[str] = stream

        def add(key: str, place: str) -> None:
            lines.write(f"{key} {place}\n")

        yield add


def _create(file: Any, key: str, array: np.ndarray, **settings: Any) -> None:
    if key in file:
        raise UserError(f"{key}: comes twice in the input; HDF5 holds a key once")
    file.create_dataset(key, data=array, **settings)


def _encode(entry: Entry, audio_format: str) -> bytes:
    if not entry.rate:
        raise UserError(
            f"{entry.key}: is no sound with a sampling rate, so it cannot be written "
            f"as {audio_format}; the input must be of filetype {' or '.join(SOUNDS)}"
        )
    return encode_sound(entry.array, entry.rate, audio_format)


WRITERS: dict[
    str,
    Callable[[Destination, StoreOptions, str | None], AbstractContextManager[Write]],
] = {
    "mat": _mat_writer,
    "hdf5": _hdf5_writer,
    "sound.hdf5": _sound_hdf5_writer,
    "sound": _sound_writer,
}
