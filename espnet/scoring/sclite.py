"""The report ``sclite -i rm -o all stdout`` prints: tables by speaker, alignments.

Differences from sclite: ids keep their capitals, columns line up by the width that
characters have on a terminal (sclite counts bytes), and a title wider than the table
widens its first column.
"""

from __future__ import annotations

import math
import statistics
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from espnet.scoring.alignment import (
    Counts,
    Pair,
    align,
    ascii_lower,
    ascii_upper,
    count,
    same,
)

PAGE = 80  # columns in which tables are centred
LINE = 1000  # columns at which alignments are broken
COLUMNS = (" # Snt", "# Wrd", " Corr ", "  Sub ", "  Del ", "  Ins ", "  Err ", "S.Err")
RATES = range(2, 7)  # the columns in percent of the reference words
NO_REFERENCE = "*"
IGNORED = "+"


@dataclass(frozen=True)
class Utterance:
    """One scored utterance: its id ``SPEAKER-...``, alignment and counts."""

    name: str
    pairs: list[Pair]
    counts: Counts

    @property
    def speaker(self) -> str:
        """The part of the id before its first dash."""
        return self.name.partition("-")[0]


@dataclass(frozen=True)
class Group:
    """The sums over the utterances of a speaker, or of all."""

    name: str
    utterances: int
    wrong: int
    counts: Counts

    @classmethod
    def of(cls, name: str, utterances: Sequence[Utterance]) -> Group:
        """Sum up ``utterances``."""
        return cls(
            name,
            len(utterances),
            sum(u.counts.errors > 0 for u in utterances),
            sum((u.counts for u in utterances), Counts()),
        )

    def raw(self) -> list[int]:
        """Numbers of the eight columns."""
        c = self.counts
        parts = [c.correct, c.substituted, c.deleted, c.inserted, c.errors]
        return [self.utterances, c.tokens, *parts, self.wrong]

    def percentages(self) -> list[float]:
        """The same; from the third on in percent, 0 without reference tokens."""
        utterances, tokens, *parts, wrong = self.raw()
        rates = [part / tokens * 100.0 if tokens else 0.0 for part in parts]
        return [utterances, tokens, *rates, wrong / utterances * 100.0]


def score(name: str, ref: Sequence[str], hyp: Sequence[str]) -> Utterance:
    """Align one hypothesis with its reference.

    Args:
        name: ``SPEAKER-REST``; the tables have a row for each speaker.
        ref: tokens.
        hyp: tokens.
    """
    pairs = align(ref, hyp)
    return Utterance(name, pairs, count(pairs))


def report(utterances: Sequence[Utterance], title: str) -> str:
    """The whole text: percentages, numbers, then each utterance's alignment."""
    speakers: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        speakers.setdefault(utterance.speaker, []).append(utterance)
    groups = [Group.of(name, members) for name, members in speakers.items()]
    total = Group.of("", utterances)
    return "".join(
        [
            _percentage_table(groups, total, title),
            _number_table(groups, total, title),
            "\n\n\t\tDUMP OF SYSTEM ALIGNMENT STRUCTURE\n",
            f"\nSystem name:   {title}\n\nSpeakers: \n",
            *(f"{i:5d}:  {name}\n" for i, name in enumerate(speakers)),
            "\n",
            *(_speaker(i, *item) for i, item in enumerate(speakers.items())),
            "\n",
        ]
    )


def summary(text: str) -> list[str]:
    """The heading and the ``Sum/Avg`` row of a report, for people in a hurry."""
    lines = (line.strip() for line in text.splitlines())
    rows = [line for line in lines if line.startswith(("| SPKR", "| Sum/Avg"))]
    return rows[:2]


# ---- tables


def _percentage_table(groups: Sequence[Group], total: Group, title: str) -> str:
    rows = [
        [f" {g.name} ", *(_percentages(g) if g.counts.tokens else _no_reference(g))]
        for g in groups
    ]
    sums = [" Sum/Avg", *_percentages(total)]
    known = [g for g in groups if g.counts.tokens]
    values = [g.percentages() for g in groups]
    of_known = [g.percentages() for g in known] or [[0.0] * len(COLUMNS)]
    mark = IGNORED if len(known) < len(groups) else " "
    columns = [
        [v[k] for v in (of_known if k in RATES else values)]
        for k in range(len(COLUMNS))
    ]
    marks = [mark if k in RATES else " " for k in range(len(COLUMNS))]
    notes = ""
    if mark == IGNORED:
        notes = (
            f"\n{NO_REFERENCE} speaker without reference words: numbers of words, "
            f"not percent\n{IGNORED} over the speakers with reference words\n"
        )
    return _table(title, rows, sums, _statistics(columns, marks)) + notes


def _number_table(groups: Sequence[Group], total: Group, title: str) -> str:
    rows = [[f" {group.name} ", *_numbers(group)] for group in groups]
    columns = [list(column) for column in zip(*(g.raw() for g in groups), strict=True)]
    statistic = _statistics(columns, [" "] * len(COLUMNS))
    return _table(title, rows, [" Sum ", *_numbers(total)], statistic)


def _percentages(group: Group) -> list[str]:
    utterances, tokens, *rates = group.percentages()
    return [f"{utterances:5.0f}", f"{tokens:5.0f}", *(_decimal(r) for r in rates)]


def _no_reference(group: Group) -> list[str]:
    utterances, tokens, *parts, _ = group.raw()
    wrong = group.percentages()[-1]
    counts = [f"{part:5d}{NO_REFERENCE}" for part in parts]
    return [f"{utterances:5d}", f"{tokens:5d}", *counts, _decimal(wrong)]


def _numbers(group: Group) -> list[str]:
    utterances, tokens, *others = group.raw()
    return [f"{utterances:5d}", f"{tokens:5d}", *(f"{n:5d} " for n in others)]


def _decimal(value: float, mark: str = " ") -> str:
    """One digit after the point; halves go up, as sclite rounds."""
    return f"{math.floor(value * 10 + 0.5) / 10:5.1f}{mark}"


def _statistics(
    columns: Sequence[Sequence[float]], marks: Sequence[str]
) -> list[list[str]]:
    """Rows Mean, S.D. (over speakers, n - 1) and Median."""
    deviations = [statistics.stdev(c) if len(c) > 1 else 0.0 for c in columns]
    table = {
        "Mean": [statistics.fmean(c) for c in columns],
        "S.D.": deviations,
        "Median": [statistics.median(c) for c in columns],
    }
    return [
        [name, *(_decimal(v, mark) for v, mark in zip(values, marks, strict=True))]
        for name, values in table.items()
    ]


def _table(
    title: str,
    rows: Sequence[Sequence[str]],
    sums: Sequence[str],
    statistic: Sequence[Sequence[str]],
) -> str:
    """One box; the cells come with the blanks that they want around them."""
    everything = [*rows, sums, *statistic]
    heading = [" SPKR ", *COLUMNS]
    widths = [
        max(_width(row[k]) for row in [heading, *everything])
        for k in range(len(heading))
    ]
    inner = sum(widths) + len(widths) - 1
    widths[0] += max(0, _width(title) - inner)
    inner = max(inner, _width(title))

    def line(row: Sequence[str], name: Callable[[str, int], str] = _left) -> str:
        cells = [_centre(c, w) for c, w in zip(row[1:], widths[1:], strict=True)]
        first = name(row[0], widths[0])
        return f"|{first}|{' '.join(cells[:2])}|{' '.join(cells[2:])}|"

    rule = "|" + "-" * widths[0] + "+" + "-" * (1 + widths[1] + widths[2]) + "+"
    rule += "-" * (inner + 1 - len(rule)) + "|"
    double = "|" + "=" * inner + "|"
    lines = [
        "," + "-" * inner + ".",
        f"|{_centre(title, inner)}|",
        "|" + "-" * inner + "|",
        line(heading),
    ]
    for row in rows:
        lines += [rule, line(row)]
    lines += [double, line(sums), double]
    lines += [line(row, name=_centre) for row in statistic]
    lines.append("`" + "-" * inner + "'")
    margin = " " * max(0, (PAGE - inner - 2) // 2)
    top = _centre("SYSTEM SUMMARY PERCENTAGES by SPEAKER", PAGE)
    return f"\n\n\n{top}\n\n" + "".join(f"{margin}{text}\n" for text in lines)


# ---- alignments


def _speaker(number: int, name: str, utterances: Sequence[Utterance]) -> str:
    head = f"Speaker sentences{number:4d}:  {name}   #utts: {len(utterances)}\n"
    return head + "".join(_utterance(utterance) for utterance in utterances)


def _utterance(utterance: Utterance) -> str:
    c = utterance.counts
    text = (
        f"id: ({utterance.name})\nScores: (#C #S #D #I) "
        f"{c.correct} {c.substituted} {c.deleted} {c.inserted}\n"
    )
    for i, (ref, hyp, evaluation) in enumerate(_broken(utterance.pairs)):
        again = ">> " if i else ""
        text += "\n" if i else ""
        text += f"{again}REF:  {ref}\n{again}HYP:  {hyp}\n{again}Eval: {evaluation}\n"
    return text + "\n"


def _broken(pairs: Sequence[Pair]) -> Iterable[tuple[str, str, str]]:
    """REF, HYP and Eval texts of lines shorter than ``LINE``.

    The last token never has a line of its own, so that sclite's lines come out.
    """
    texts = ["", "", ""]
    room = LINE - len("REF:  ")
    for number, pair in enumerate(pairs, 1):
        cells = _cells(*pair)
        width = max(_width(cell) for cell in cells) + 1
        if texts[0] and width >= room and number < len(pairs):
            yield texts[0], texts[1], texts[2]
            texts, room = ["", "", ""], LINE - len(">> REF:  ")
        room -= width
        texts = [t + _left(c, width) for t, c in zip(texts, cells, strict=True)]
    if texts[0]:
        yield texts[0], texts[1], texts[2]


def _cells(ref: str | None, hyp: str | None) -> tuple[str, str, str]:
    """What stands in REF, HYP and Eval: errors in capitals, stars for nothing."""
    if ref is None:
        ref, hyp = "", hyp or ""
        return "*" * _width(hyp), ascii_upper(hyp), "I"
    if hyp is None:
        return ascii_upper(ref), "*" * _width(ref), "D"
    if same(ref, hyp):
        return ascii_lower(ref), ascii_lower(hyp), ""
    return ascii_upper(ref), ascii_upper(hyp), "S"


# ---- columns of a terminal


def _width(text: str) -> int:
    """Columns of a text: East Asian wide characters take two, accents none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def _left(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _centre(text: str, width: int) -> str:
    """In the middle; the odd blank goes to the right."""
    blanks = max(0, width - _width(text))
    return " " * (blanks // 2) + text + " " * (blanks - blanks // 2)
