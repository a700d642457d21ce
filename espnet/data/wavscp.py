"""The utterances of a Kaldi data directory as audio: wav.scp, and segments if there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from espnet.data.ark import ScpLine, iter_scp, read_scp
from espnet.data.audio import read_audio, resample, select_channel
from espnet.data.kaldi_options import MelOptions
from espnet.utils.errors import UserError
from espnet.utils.lines import read_lines, split_words

MAX_OVERSHOOT = 0.5  # seconds that a segment may end after its recording, as in Kaldi


class Utterance(NamedTuple):
    """Where the samples of an utterance come from; ``place`` is its ``file:line``."""

    key: str
    source: str
    place: str
    start: float = 0.0
    end: float = -1.0  # -1: to the end
    channel: int = -1


def parse_part(text: str) -> tuple[int, int]:
    """``3/8`` -> (3, 8): the third of eight parts."""
    job, _, jobs = text.partition("/")
    if not (job.isdigit() and jobs.isdigit() and 1 <= int(job) <= int(jobs)):
        raise ValueError(f"'{text}' is not J/N with 1 <= J <= N")
    return int(job), int(jobs)


def part_of_scp(path: str | Path, part: tuple[int, int]) -> Iterator[ScpLine]:
    """The lines of part J of N of an scp file; the parts differ by one line at most."""
    job, jobs = part
    total = sum(1 for _ in read_lines(path))
    return islice(iter_scp(path), total * (job - 1) // jobs, total * job // jobs)


def iter_utterances(
    data: str | Path, part: tuple[int, int] = (1, 1)
) -> Iterator[Utterance]:
    """The utterances of a data directory, or of one of N equal parts, in file order.

    Raises:
        UserError: a line of wav.scp or segments is wrong (``file:line``).
    """
    wav_scp, segments = Path(data, "wav.scp"), Path(data, "segments")
    listed = segments if segments.exists() else wav_scp
    lines = part_of_scp(listed, part)
    if listed is wav_scp:
        for number, key, source in lines:
            yield Utterance(key, source, f"{wav_scp}:{number}")
        return
    yield from parse_segments(lines, segments, read_scp(wav_scp))


def parse_segments(
    lines: Iterable[ScpLine], path: str | Path, recordings: Mapping[str, str]
) -> Iterator[Utterance]:
    """The utterances of lines ``utt recording start end [channel]`` of ``path``.

    Raises:
        UserError: a line is wrong, or names no key of ``recordings``.
    """
    for number, key, rest in lines:
        yield _segment(key, rest, f"{path}:{number}", recordings)


def cut(samples: np.ndarray, rate: int, utterance: Utterance) -> np.ndarray:
    """The samples of an utterance out of those (T, ...) of its recording.

    Raises:
        UserError: the utterance is outside.
    """
    if utterance.start == 0.0 and utterance.end == -1.0:
        return samples
    total = len(samples)
    first, last = int(utterance.start * rate), total
    if utterance.end != -1.0:
        last = int(utterance.end * rate)
    if first >= total or last > total + MAX_OVERSHOOT * rate:
        raise UserError(
            f"the segment {utterance.start}-{utterance.end} s is outside the "
            f"recording of {total / rate:.2f} s"
        )
    return samples[first:last]


def _segment(
    key: str, rest: str, place: str, recordings: Mapping[str, str]
) -> Utterance:
    words = split_words(rest)
    try:
        recording, start, end = words[0], float(words[1]), float(words[2])
        channel = int(words[3]) if len(words) > 3 else -1
    except (ValueError, IndexError):
        raise UserError(
            f"{place}: expected '<utt> <recording> <start> <end>' in seconds, has "
            f"'{key} {rest}'"
        ) from None
    if recording not in recordings:
        raise UserError(f"{place}: {key}: recording '{recording}' is not in wav.scp")
    if start < 0 or (end <= start and end != -1):
        raise UserError(
            f"{place}: {key}: a segment from {start} to {end} s is empty or reversed"
        )
    return Utterance(key, recordings[recording], place, start, end, channel)


class AudioReader:
    """Reads utterances at the rate and channel that Kaldi's options ask for.

    The recording read last stays in memory, for its further segments.
    """

    def __init__(self, options: MelOptions, config: str) -> None:
        """``config`` is the option file's name, for messages."""
        self.options, self.config = options, config
        self._source, self._samples, self._rate = "", np.zeros((0, 1)), 0

    def read(self, utterance: Utterance) -> np.ndarray:
        """The samples (T,) float32 at ``--sample-frequency``, at the scale of int16.

        Raises:
            UserError: unreadable, another sampling rate, several channels, or the
                segment is outside; the message names the line, utterance and source.
        """
        try:
            if utterance.source != self._source:
                self._source = ""
                self._samples, self._rate = read_audio(utterance.source)
                self._source = utterance.source
        except UserError as error:
            raise UserError(f"{utterance.place}: {utterance.key}: {error}") from None
        try:
            channel = utterance.channel
            samples = select_channel(
                cut(self._samples, self._rate, utterance),
                self.options.channel if channel < 0 else channel,
                f"write --channel=0 (left) or --channel=1 (right) in {self.config}",
            )
            return self._at_rate(samples)
        except UserError as error:
            raise UserError(
                f"{utterance.place}: {utterance.key}: {utterance.source}: {error}"
            ) from None

    def _at_rate(self, samples: np.ndarray) -> np.ndarray:
        wanted = self.options.sample_frequency
        if self._rate > wanted and self.options.allow_downsample:
            return resample(samples, self._rate, wanted)
        if self._rate < wanted and self.options.allow_upsample:
            return resample(samples, self._rate, wanted)
        if self._rate != wanted:
            change = "downsample" if self._rate > wanted else "upsample"
            raise UserError(
                f"is sampled at {self._rate} Hz, but --sample-frequency is {wanted:g} "
                f"in {self.config}; write --sample-frequency={self._rate} there if all "
                f"audio is so, or --allow-{change}=true to convert it"
            )
        return samples
