"""Real-time factor and latency of decoding, from the times in its logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from espnet.utils.errors import UserError
from espnet.utils.lines import read_lines

_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[,.](\d{3})")


@dataclass(frozen=True)
class Timing:
    """Sums over all utterances, in seconds."""

    audio: float
    decoding: float
    utterances: int

    def lines(self) -> list[str]:
        """The four lines of calculate_rtf.py."""
        latency = 1000 * self.decoding / self.utterances
        return [
            f"Total audio duration: {self.audio:.3f} [sec]",
            f"Total decoding time: {self.decoding:.3f} [sec]",
            f"RTF: {self.decoding / self.audio:.3f}",
            f"Latency: {latency:.3f} [ms/sentence]",
        ]


def read_timing(
    paths: Sequence[Path], start: str, end: str, frame_shift: float, hypotheses: int = 1
) -> Timing:
    """Add up the times between start and end lines of decoding logs.

    The k-th start line of a log, which ends in the number of frames, and its k-th end
    line belong together. Utterances of one batch are decoded at the same time, so times
    that overlap count once.

    Args:
        paths: the logs.
        start: text in the line that starts an utterance.
        end: text in the line that ends it.
        frame_shift: seconds from frame to frame.
        hypotheses: end lines for each start line.

    Raises:
        UserError: no log, no such lines, or another number of ends than of starts.
    """
    audio = decoding = 0.0
    count = 0
    for path in paths:
        starts, ends, frames = _marks(path, start, end)
        if len(starts) * hypotheses != len(ends):
            raise UserError(
                f"{path}: has {len(starts)} lines with '{start}' and {len(ends)} with "
                f"'{end}'; did the job end, and is --inf-num right?"
            )
        last = ends[hypotheses - 1 :: hypotheses]
        decoding += _covered(zip(starts, last, strict=True))
        audio += sum(frames) * frame_shift
        count += len(starts)
    if not count or not audio:
        names = ", ".join(map(str, paths)) or "no log"
        raise UserError(
            f"{names}: no line with '{start}' and a number of frames; such lines are"
            " written with --verbose 1"
        )
    return Timing(audio, decoding, count)


def found_marker(paths: Sequence[Path], markers: Sequence[str]) -> str:
    """The first marker that stands in a log; the last one if none does."""
    for marker in markers[:-1]:
        if any(f"{marker}:" in line for p in paths for _, line in read_lines(p)):
            return marker
    return markers[-1]


def _marks(
    path: Path, start: str, end: str
) -> tuple[list[float], list[float], list[int]]:
    starts: list[float] = []
    ends: list[float] = []
    frames: list[int] = []
    for number, line in read_lines(path):
        for marker, times in ((start, starts), (end, ends)):
            if f"{marker}:" not in line and f"{marker} :" not in line:
                continue
            match = _TIME.search(line)
            if match is None:
                raise UserError(f"{path}:{number}: has no time 'YYYY-MM-DD HH:MM:SS'")
            time = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").timestamp()
            times.append(time + int(match[2]) / 1000)
            if marker == start:
                frames.append(_frames(line, f"{path}:{number}"))
            break
    return starts, ends, frames


def _frames(line: str, place: str) -> int:
    text = line.rpartition(":")[2].strip()
    if not text.isdecimal():
        raise UserError(f"{place}: '{text}' must be the number of frames")
    return int(text)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of some intervals."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
