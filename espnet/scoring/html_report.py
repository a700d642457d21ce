"""A web page about a decoding: what was said, what was recognised, and how it sounds.

It reads what ``score_sclite.sh`` left (trn files, ``data.json``), so that its numbers
are those of the score, and the logs of decoding.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from espnet.data.audio import encode_sound, read_audio
from espnet.data.manifest import read_utts
from espnet.data.wavscp import Utterance as Source
from espnet.data.wavscp import cut, iter_utterances
from espnet.scoring.alignment import Pair, same
from espnet.scoring.breakdown import by_length, by_speaker, confusions
from espnet.scoring.html_page import escaped, page, table, tag
from espnet.scoring.sclite import Group, Utterance, score
from espnet.scoring.trn import line_name, parse_trn
from espnet.utils.errors import UserError
from espnet.utils.options import option

UNITS = {"word": ".wrd.trn", "token": ".trn"}
RATES = ("Corr %", "Sub %", "Del %", "Ins %", "Err %", "Utt err %")
ERROR_COLUMN = 3 + RATES.index("Err %")
FORMAT, MIME = "flac", "audio/flac"  # half the size of wav, and browsers play it
_SPEED = re.compile(r"(\d+)/\1 utterances done in .*real-time factor ([\d.]+)")


@dataclass(frozen=True)
class ReportOptions:
    """What goes into the page."""

    data: str = option("", "data directory (wav.scp) of the audio; without: no players")
    out: str = option("", "the page; if not given: report.html beside the results")
    title: str = option("", "of the page; if not given: the name of the directory")
    unit: str = option(
        "",
        "what is counted; if not given: words, if they were scored",
        choices=tuple(UNITS),
    )
    audio_utts: int = option(50, "utterances with audio, those with most errors first")
    audio_mb: float = option(20.0, "megabytes of audio at most")
    pairs: int = option(30, "confusions that are listed")

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        for name in ("audio_utts", "audio_mb", "pairs"):
            if getattr(self, name) < 0:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}: {getattr(self, name)} must be 0 or more")


def html_report(folder: Path, options: ReportOptions) -> str:
    """The page about the results in a directory.

    Raises:
        UserError: it was not scored, or the audio cannot be read.
    """
    unit = options.unit or next((u for u in UNITS if _trn(folder, u).is_file()), "word")
    utterances = _utterances(folder, unit)
    results = read_utts(folder / "data.json")
    entries = {line_name(utt, e): (utt, e) for utt, e in results.items()}
    order = sorted(utterances, key=lambda u: (-u.counts.errors, u.name))
    players = _players(order, entries, options)
    listed = [
        (u.counts.errors, _utterance(u, unit, entries.get(u.name), players))
        for u in order
    ]
    wrong = "".join(text for errors, text in listed if errors)
    right = [text for errors, text in listed if not errors]
    body = (
        _summary(utterances, unit, folder, players, options)
        + _tables(utterances, unit, options.pairs)
        + tag("h2", f"Utterances with errors ({len(listed) - len(right)})")
        + _legend()
        + wrong
        + tag("h2", f"Utterances without errors ({len(right)})")
        + tag("details", tag("summary", "Show them") + "".join(right))
    )
    return page(options.title or f"Report: {folder.resolve().name}", body)


def _trn(folder: Path, unit: str, side: str = "ref") -> Path:
    return folder / f"{side}{UNITS[unit]}"


def _utterances(folder: Path, unit: str) -> list[Utterance]:
    lines = {}
    for side in ("ref", "hyp"):
        path = _trn(folder, unit, side)
        try:
            lines[side] = parse_trn(path.read_text(encoding="utf-8"), path)
        except OSError as error:
            raise UserError(
                f"{path}: {error.strerror}; score the results first: score_sclite.sh "
                f"--wer true {folder} <dictionary>"
            ) from None
    hyps = {line.name: line.tokens for line in lines["hyp"]}
    missing = [line.name for line in lines["ref"] if line.name not in hyps]
    if missing:
        raise UserError(
            f"{_trn(folder, unit, 'hyp')}: has no '{missing[0]}', which is in ref"
            f"{UNITS[unit]}; score the results again"
        )
    return [score(line.name, line.tokens, hyps[line.name]) for line in lines["ref"]]


# ---- parts of the page


def _summary(
    utterances: Sequence[Utterance],
    unit: str,
    folder: Path,
    players: Mapping[str, str],
    options: ReportOptions,
) -> str:
    total = Group.of("All", utterances)
    rate = "Word error rate" if unit == "word" else "Token error rate"
    lines = [f"{rate} {_decimal(total.percentages()[6])} %"]
    speed = _speed(folder / "log")
    if speed:
        lines.append(speed)
    if options.data:
        lines.append(
            f"Audio of {len(players)} of {len(utterances)} utterances is in this page "
            f"(--audio-utts {options.audio_utts}, --audio-mb {options.audio_mb:g})"
        )
    rows = [[total.name, *_cells(total)]]
    text = "".join(tag("p", escaped(line)) for line in lines)
    return text + table(f"All {unit}s", _heads(unit), rows, ERROR_COLUMN)


def _heads(unit: str) -> tuple[str, ...]:
    return ("", "Utts", f"{unit.capitalize()}s", *RATES)


def _speed(logs: Path) -> str:
    """The real-time factor that decoding logged; empty without logs."""
    found = []
    for path in sorted(logs.glob("decode.*.log")):
        matches = _SPEED.findall(path.read_text(encoding="utf-8", errors="replace"))
        if matches:
            found.append((int(matches[-1][0]), float(matches[-1][1])))
    if not found:
        return ""
    utterances, rates = zip(*found, strict=True)
    mean = np.average(rates, weights=utterances)
    jobs = f" in each of {len(found)} jobs, on average" if len(found) > 1 else ""
    return f"Real-time factor of decoding {mean:.3f}{jobs}"


def _tables(utterances: Sequence[Utterance], unit: str, pairs: int) -> str:
    heads = _heads(unit)
    groups = "".join(
        table(caption, heads, [[g.name, *_cells(g)] for g in group], ERROR_COLUMN)
        for caption, group in (
            ("By speaker", by_speaker(utterances)),
            (f"By {unit}s of the reference", by_length(utterances)),
        )
    )
    found = confusions(utterances)
    kinds: dict[str, list[tuple[str, ...]]] = {"s": [], "d": [], "i": []}
    for (ref, hyp), count in sorted(
        found.items(), key=lambda item: (-item[1], item[0])
    ):
        kind = "s" if ref and hyp else "d" if ref else "i"
        cells = (ref, hyp, str(count)) if kind == "s" else (ref or hyp, str(count))
        kinds[kind].append(cells)
    errors = "".join(
        table(f"{name} ({len(kinds[kind])} kinds)", heads, kinds[kind][:pairs])
        for name, kind, heads in (
            ("Substitutions", "s", ("Said", "Recognised", "Times")),
            ("Deletions", "d", ("Said", "Times")),
            ("Insertions", "i", ("Recognised", "Times")),
        )
    )
    return (
        tag("h2", "Where the errors are")
        + tag("div", groups, class_="tables")
        + tag("h2", "Confusions")
        + tag("div", errors, class_="tables")
    )


def _cells(group: Group) -> list[str]:
    utterances, tokens, *rates = group.percentages()
    return [f"{utterances:.0f}", f"{tokens:.0f}", *(_decimal(rate) for rate in rates)]


def _decimal(rate: float) -> str:
    """One digit; halves go up, as in the score."""
    return f"{math.floor(rate * 10 + 0.5) / 10:.1f}"


def _legend() -> str:
    examples = [("said", "recognised"), ("deleted", None), (None, "inserted")]
    return tag(
        "p",
        f"Substitution: {_pair(examples[0])}, deletion: "
        f"{_pair(examples[1])}, insertion: {_pair(examples[2])}.",
    )


def _pair(pair: Pair) -> str:
    ref, hyp = pair
    if ref is None:
        return tag("ins", escaped(hyp or ""), class_="i")
    if hyp is None:
        return tag("del", escaped(ref), class_="d")
    if same(ref, hyp):
        return escaped(ref)
    both = tag("del", escaped(ref)) + tag("ins", escaped(hyp))
    return tag("span", both, class_="s")


def _utterance(
    utterance: Utterance,
    unit: str,
    known: tuple[str, Mapping[str, Any]] | None,
    players: Mapping[str, str],
) -> str:
    counts = utterance.counts
    name, entry = known or (utterance.name, {})
    errors = f"{counts.errors} error{'s' * (counts.errors != 1)}"
    small = tag("small", f"{errors}, {counts.tokens} {unit}s")
    text = " ".join(_pair(pair) for pair in utterance.pairs)
    content = tag("h3", f"{escaped(name)} {small}") + tag("p", text)
    if utterance.name in players:
        content += tag(
            "audio",
            controls="",
            preload="none",
            aria_label=f"recording {name}",
            src=players[utterance.name],
        )
    outputs = entry.get("output") or []
    if len(outputs) > 1:
        content += _nbest(outputs)
    return tag("article", content)


def _nbest(outputs: Sequence[Mapping[str, Any]]) -> str:
    items = ""
    for output in outputs:
        text = str(output.get("rec_text", "")).replace("<eos>", "")
        text = text.replace("\u2581", " ").strip()
        items += tag("li", escaped(f"{text} ({float(output.get('score', 0.0)):.2f})"))
    summary = tag("summary", f"{len(outputs)} best, with scores")
    return tag("details", summary + tag("ol", items))


# ---- audio


def _players(
    order: Sequence[Utterance],
    entries: Mapping[str, tuple[str, Mapping[str, Any]]],
    options: ReportOptions,
) -> dict[str, str]:
    """Data URIs of the first utterances, as many as may be."""
    if not options.data:
        return {}
    sources = {source.key: source for source in iter_utterances(options.data)}
    read = lru_cache(maxsize=2)(read_audio)  # segments share recordings
    players: dict[str, str] = {}
    room = options.audio_mb * 1e6
    for utterance in order[: options.audio_utts]:
        utt, _ = entries.get(utterance.name, (utterance.name, {}))
        if utt not in sources:
            raise UserError(
                f"--data: {options.data} has no utterance '{utt}'; give the directory "
                "that was decoded"
            )
        uri = f"data:{MIME};base64,{_encoded(sources[utt], read)}"
        room -= len(uri)
        if room < 0:
            break
        players[utterance.name] = uri
    return players


def _encoded(source: Source, read: Callable[[str], tuple[np.ndarray, int]]) -> str:
    """The audio of an utterance, one channel, as base64."""
    try:
        samples, rate = read(source.source)
        samples = cut(samples, rate, source)
    except UserError as error:
        raise UserError(f"{source.place}: {source.key}: {error}") from None
    mono = samples[:, source.channel] if source.channel >= 0 else np.mean(samples, 1)
    return base64.b64encode(encode_sound(mono, rate, FORMAT)).decode("ascii")
