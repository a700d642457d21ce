"""Transcripts with times for sclite: STM references and CTM hypotheses of trn lines.

An utterance's recording and times stand in its id, as Kaldi's recipes form them:
``<recording>[-<channel>][-_]<start>-<end>`` in hundredths of a second, for example
``sw02001-A_000098-001156``. The words share the utterance's time equally, which sclite
only uses to assign them to a reference; ``asr_recog.py --ctm`` has measured times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from espnet.scoring.trn import Line
from espnet.utils.errors import DataError
from espnet.utils.lines import read_lines, shorten

_ID = re.compile(r"(?P<recording>.+?)(-(?P<channel>[AB]))?[-_](?P<times>\d+-\d+)")


class Span(NamedTuple):
    """Where an utterance was said; times in seconds."""

    recording: str
    channel: str
    start: float
    end: float


def stm(lines: Iterable[Line], path: str) -> list[str]:
    """``recording channel speaker start end words`` lines, sorted by time.

    Raises:
        DataError: ids that hold no times; ``path`` is their file.
    """
    return [
        f"{span.recording} {span.channel} {speaker} {span.start:.2f} {span.end:.2f} "
        f"{' '.join(words)}"
        for span, speaker, words in sorted(_spans(lines, path))
    ]


def ctm(lines: Iterable[Line], path: str) -> list[str]:
    """``recording channel start duration word`` lines, sorted by time.

    Raises:
        DataError: ids that hold no times; ``path`` is their file.
    """
    rows = []
    for span, _, words in sorted(_spans(lines, path)):
        step = (span.end - span.start) / max(1, len(words))
        rows += [
            f"{span.recording} {span.channel} {span.start + n * step:.2f} {step:.2f} "
            f"{word}"
            for n, word in enumerate(words)
        ]
    return rows


def stm_header(path: str | None) -> list[str]:
    """The ``;;`` lines of an STM file, which explain labels to sclite.

    Raises:
        UserError: there is no such file.
    """
    if not path:
        return []
    return [line for _, line in read_lines(path) if line.startswith(";;")]


def _spans(
    lines: Iterable[Line], path: str
) -> Iterator[tuple[Span, str, tuple[str, ...]]]:
    problems = []
    for number, line in enumerate(lines, 1):
        speaker, _, utterance = line.name.partition("-")
        match = _ID.fullmatch(utterance)
        if match is None:
            problems.append(
                f"{path}:{number}: id '{utterance}' does not end in -<start>-<end>, "
                "times in hundredths of a second"
            )
            continue
        start, end = (int(time) / 100 for time in match["times"].split("-"))
        span = Span(match["recording"], match["channel"] or "1", start, end)
        yield span, speaker, line.tokens
    if problems:
        raise DataError(shorten(problems))
