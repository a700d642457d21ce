"""Scoring of several speakers in one recording: the best assignment of hypotheses.

References and hypotheses of all pairs (``r1h1``, ``r1h2``, ...) are scored; for each
utterance that assignment counts which has the fewest errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import permutations
from math import isqrt
from typing import Any

from espnet.utils.errors import DataError, UserError
from espnet.utils.lines import shorten

Block = dict[str, str]
_COUNTS = "(#C #S #D #I)"


def parse_report(text: str, path: str) -> dict[str, Block]:
    """The utterances of a report of sclite: id -> Scores, REF, HYP, Eval as printed.

    Raises:
        UserError: there is no utterance in it; ``path`` is its file.
    """
    blocks: dict[str, Block] = {}
    block: Block = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if key == "id" and colon:
            block = blocks.setdefault(value.strip().strip("()"), {})
        elif key in ("Scores", "REF", "HYP", "Eval") and colon:
            old = block.get(key)  # alignments may go on in further lines
            block[key] = value.strip() if old is None else f"{old} {value.strip()}"
    if not blocks:
        raise UserError(f"{path}: is no report of sclite: it has no line 'id: (...)'")
    return blocks


def counts_of(block: Block, place: str) -> list[int]:
    """Correct, substituted, deleted and inserted tokens.

    Raises:
        UserError: ``Scores`` has another form; ``place`` stands in the message.
    """
    numbers = block.get("Scores", "").removeprefix(_COUNTS).split()
    if len(numbers) != 4 or not all(number.isdecimal() for number in numbers):
        raise UserError(f"{place}: must have 'Scores: {_COUNTS} c s d i'")
    return [int(number) for number in numbers]


def best_assignment(
    reports: Sequence[Mapping[str, Block]], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Utterance -> the blocks of its best assignment by ``rXhY``, and their ``Scores``.

    Args:
        reports: of r1h1, r1h2, ..., r2h1, ...: a square number of them.
        names: their files, for messages.

    Raises:
        UserError: another number of reports.
        DataError: utterances that are not in all reports.
    """
    speakers = isqrt(len(reports))
    if speakers**2 != len(reports) or not reports:
        raise UserError(
            f"{len(reports)} reports: for N speakers N x N are needed, in the order "
            "r1h1 r1h2 ... r2h1 ..."
        )
    problems = [
        f"{name}: utterance '{utt}' is missing"
        for name, report in zip(names, reports, strict=True)
        for utt in _ids(reports[0])
        if utt not in _ids(report)
    ]
    if problems:
        raise DataError(shorten(problems))
    tables = [_ids(report) for report in reports]
    return {utt: _best(utt, tables, names, speakers) for utt in tables[0]}


def _ids(report: Mapping[str, Block]) -> dict[str, Block]:
    """Blocks by the part of the id after the speaker, who differs by reference."""
    return {utt.partition("-")[2] or utt: block for utt, block in report.items()}


def _best(
    utt: str, tables: Sequence[dict[str, Block]], names: Sequence[str], speakers: int
) -> dict[str, Any]:
    counts = [
        counts_of(table[utt], f"{name}: utterance '{utt}'")
        for table, name in zip(tables, names, strict=True)
    ]

    def chosen(order: Sequence[int]) -> list[int]:
        return [ref * speakers + hyp for ref, hyp in enumerate(order)]

    def errors(order: Sequence[int]) -> int:
        return sum(sum(counts[pair][1:]) for pair in chosen(order))

    pairs = chosen(min(permutations(range(speakers)), key=errors))
    total = [sum(column) for column in zip(*(counts[p] for p in pairs), strict=True)]
    entry: dict[str, Any] = {
        f"r{pair // speakers + 1}h{pair % speakers + 1}": tables[pair][utt]
        for pair in pairs
    }
    return {**entry, "Scores": f"{_COUNTS} {' '.join(map(str, total))}"}


def summary(utts: Mapping[str, Mapping[str, Any]], title: str) -> str:
    """What ``min_perm_result.json`` holds: title, sums and the utterances as JSON."""
    totals = [
        sum(column)
        for column in zip(
            *(counts_of(dict(entry), utt) for utt, entry in utts.items()), strict=True
        )
    ]
    tokens = sum(totals[:3])
    rate = 100.0 * sum(totals[1:]) / tokens if tokens else 0.0
    body = json.dumps({"utts": utts}, indent=4, ensure_ascii=False, sort_keys=True)
    return (
        f"{title}\n"
        f"Total Scores: {_COUNTS} {' '.join(map(str, totals))}\n"
        f"Error Rate:   {rate:.2f}\n"
        f"Total Utts:  {len(utts)}\n"
        f"{body}\n"
    )


def pair_of(text: str) -> str:
    """The ``rXhY`` in a text such as ``result_r1h2.txt``.

    Raises:
        UserError: there is none.
    """
    match = re.search(r"r\d+h\d+", text)
    if match is None:
        raise UserError(f"--key: '{text}' must contain rXhY, such as r1h2")
    return match[0]
