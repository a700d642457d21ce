"""Repair a Kaldi data directory: tidy and sorted tables with the same utterances."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from fnmatch import fnmatch
from pathlib import Path

from espnet.data.datadir import (
    Scan,
    recording_of,
    refuse_unreadable,
    scan,
    table_kinds,
)
from espnet.data.datadir_check import segment_fault
from espnet.data.datadir_tables import spk2utt_of, write_table
from espnet.utils.errors import UserError
from espnet.utils.lines import split_words

# An utterance that one of these lacks is dropped from all; other tables just follow.
DECIDING = (
    "text",
    "text_spk*",
    "wav.scp",
    "segments",
    "utt2spk",
    "feats.scp",
    "utt2lang",
)
# These can be made again, so they go where they lack an utterance.
DERIVED = ("utt2num_frames", "utt2dur", "utt2num_samples")
EXAMPLES = 5


def fix(directory: str | Path, extra: Collection[str] = ()) -> list[str]:
    """Keep what all tables share, tidy and sort the tables, write spk2utt anew.

    The tables as they were are kept in ``.backup/``.

    Args:
        directory: the data directory.
        extra: more tables with utterances as keys.

    Returns:
        Lines that say what was kept, dropped and changed.

    Raises:
        UserError: no directory, no utt2spk, or no utterance would be left.
        DataError: lines that are not UTF-8.
    """
    directory = Path(directory)
    kinds = table_kinds(directory, extra)
    if "utt2spk" not in kinds:
        raise UserError(
            f"{directory}/utt2spk: is missing; write '<utterance> <speaker>' lines"
        )
    scans = {name: scan(directory / name) for name in kinds}
    refuse_unreadable(scans)
    deciding = {
        name: _usable(name, scans)
        for name, kind in kinds.items()
        if kind == "utt" and any(fnmatch(name, pattern) for pattern in DECIDING)
    }
    everything = dict.fromkeys(key for keys in deciding.values() for key in keys)
    kept = {key for key in everything if all(key in keys for keys in deciding.values())}
    if not kept:
        counts = ", ".join(f"{name} ({len(keys)})" for name, keys in deciding.items())
        raise UserError(f"{directory}: no utterance is usable in all of {counts}")
    report = [f"kept {len(kept)} of {len(everything)} utterances"]
    report += _reasons(everything, kept, deciding)
    for name in DERIVED:
        if name in scans and not kept <= scans[name].entries.keys():
            _back_up(directory, name)
            (directory / name).unlink()
            report.append(f"removed {name}, which lacked utterances; make it again")
            del scans[name]
    changed = _rewrite(directory, kinds, scans, kept)
    made = [name for name in changed if name not in scans]
    changed = [name for name in changed if name in scans]
    if made:
        report.append(f"made {', '.join(made)}")
    if changed:
        names = ", ".join(changed)
        report.append(f"changed {names}; the former ones are in {directory}/.backup")
    return report


def _usable(name: str, scans: Mapping[str, Scan]) -> dict[str, str]:
    """The entries of a table that an utterance can have."""
    entries = scans[name].entries
    if name != "segments":
        return {key: value for key, value in entries.items() if value}
    recordings = scans["wav.scp"].entries if "wav.scp" in scans else None
    return {
        key: value
        for key, value in entries.items()
        if segment_fault(value) is None
        and (recordings is None or recordings.get(recording_of(value)))
    }


def _reasons(
    everything: Mapping[str, None], kept: set[str], deciding: Mapping[str, dict]
) -> list[str]:
    """A line for each set of tables that dropped utterances are not usable in."""
    dropped: dict[str, list[str]] = {}
    for key in everything:
        if key not in kept:
            lacking = [name for name, keys in deciding.items() if key not in keys]
            dropped.setdefault(" and ".join(lacking), []).append(key)
    lines = []
    for names, keys in dropped.items():
        shown = ", ".join(keys[:EXAMPLES]) + (", ..." if len(keys) > EXAMPLES else "")
        lines.append(f"dropped {len(keys)} with no usable line in {names}: {shown}")
    return lines


def _rewrite(
    directory: Path, kinds: Mapping[str, str], scans: Mapping[str, Scan], kept: set[str]
) -> list[str]:
    """Write the tables that change or are new; their names."""
    utt2spk = {key: scans["utt2spk"].entries[key] for key in sorted(kept)}
    wanted = {"utt": kept, "spk": set(utt2spk.values())}
    if "segments" in kinds:
        cut = scans["segments"].entries
        wanted["rec"] = {recording_of(cut[key]) for key in kept}
    else:
        wanted["rec"] = kept
    tables = {
        name: {k: v for k, v in table.entries.items() if k in wanted[kinds[name]]}
        for name, table in scans.items()
    }
    for name, table in tables.items():
        if fnmatch(name, "text*") or name == "segments":
            tables[name] = {k: " ".join(split_words(v)) for k, v in table.items()}
    tables["spk2utt"] = spk2utt_of(utt2spk)
    changed = []
    for name, table in tables.items():
        known = scans.get(name)
        if known is not None:
            same = list(known.entries.items()) == sorted(table.items())
            if same and not known.problems:
                continue
            _back_up(directory, name)
        write_table(directory / name, table)
        changed.append(name)
    return changed


def _back_up(directory: Path, name: str) -> None:
    (directory / ".backup").mkdir(exist_ok=True)
    shutil.copy2(directory / name, directory / ".backup" / name)
