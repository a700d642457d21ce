"""Make Kaldi data directories of others: combine, copy, change the speed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from espnet.data.datadir import (
    copy_plain_files,
    read_numbers,
    read_table,
    recording_of,
    remove_tables,
    table_kinds,
)
from espnet.data.datadir_fix import fix
from espnet.data.datadir_tables import spk2utt_of, write_table
from espnet.utils.errors import DataError, UserError
from espnet.utils.lines import shorten, split_words

Tables = dict[str, dict[str, str]]


def combine(
    dst: str | Path,
    sources: Sequence[str | Path],
    extra: Collection[str] = (),
    skip_fix: bool = False,
) -> list[str]:
    """Write a directory with all utterances of several ones.

    A table that only some of them have is left out, but for ``segments`` and
    ``utt2uniq``, which are completed.

    Args:
        dst: the new directory.
        sources: the directories.
        extra: more tables with utterances as keys.
        skip_fix: do not drop the utterances that some table lacks.

    Returns:
        Lines that say what was done.

    Raises:
        DataError: keys that stand for different things in two directories.
        UserError: a directory has no utt2spk.
    """
    dst = Path(dst)
    paths = [Path(source) for source in sources]
    if dst.resolve() in [path.resolve() for path in paths]:
        raise UserError(f"{dst}: is both what is read and what is written")
    kinds = [table_kinds(path, extra) for path in paths]
    read = [
        _completed(path, names, kinds) for path, names in zip(paths, kinds, strict=True)
    ]
    names = sorted(set().union(*read))
    report: list[str] = []
    merged: Tables = {}
    problems: list[str] = []
    for name in names:
        lacking = [str(p) for p, t in zip(paths, read, strict=True) if name not in t]
        if name == "spk2utt":
            continue
        if lacking:
            report.append(f"left out {name}, which {', '.join(lacking)} lack")
            continue
        each = [(p, t[name]) for p, t in zip(paths, read, strict=True)]
        merged[name] = _merged(name, each, problems)
    if problems:
        raise DataError(shorten(problems))
    if "utt2spk" not in merged:
        raise UserError(f"{', '.join(map(str, paths))}: each needs an utt2spk")
    _write(dst, merged)
    copy_plain_files(paths[0], dst)
    return report if skip_fix else report + fix(dst, extra)


def _completed(
    path: Path, names: Mapping[str, str], kinds: Sequence[Mapping[str, str]]
) -> Tables:
    """The tables of one directory, and those that others have and it can get."""
    tables = {name: read_table(path / name) for name in names}
    utts = tables.get("utt2spk", {})
    some_have = set().union(*kinds)
    if "segments" in some_have and "segments" not in tables:
        dur = tables.get("utt2dur", {})
        tables["segments"] = {utt: f"{utt} 0 {dur.get(utt, '-1')}" for utt in utts}
    if "utt2uniq" in some_have and "utt2uniq" not in tables:
        tables["utt2uniq"] = {utt: utt for utt in utts}
    return tables


def _merged(
    name: str, tables: Sequence[tuple[Path, dict[str, str]]], problems: list[str]
) -> dict[str, str]:
    """One table of several; equal lines of shared recordings become one."""
    owner: dict[str, Path] = {}
    merged: dict[str, str] = {}
    for path, table in tables:
        for key, value in table.items():
            if merged.setdefault(key, value) != value or (
                name == "utt2spk" and key in owner
            ):
                problems.append(
                    f"{path / name}: '{key}' is in {owner[key] / name} already; rename "
                    "it, for example with utils/copy_data_dir.sh --utt-prefix"
                )
            owner.setdefault(key, path)
    return merged


def copy(
    src: str | Path,
    dst: str | Path,
    *,
    utt_prefix: str = "",
    utt_suffix: str = "",
    spk_prefix: str = "",
    spk_suffix: str = "",
) -> None:
    """Copy a directory; names of utterances and speakers may get more text.

    Without ``segments`` the recordings are the utterances and are renamed with them.
    """
    src, dst = Path(src), Path(dst)
    _derive(
        src,
        dst,
        lambda utt: f"{utt_prefix}{utt}{utt_suffix}",
        lambda spk: f"{spk_prefix}{spk}{spk_suffix}",
        lambda rec: rec,
    )


def split_speakers(
    src: str | Path,
    dst: str | Path,
    *,
    most_utts: int = -1,
    most_seconds: float = -1.0,
    respect_speakers: bool = True,
) -> int:
    """Copy a directory, with speakers cut into smaller ones.

    A new speaker has the id of his first utterance, so that the tables stay sorted.

    Args:
        src: the directory to read; for ``most_seconds`` it must have ``utt2dur``.
        dst: the directory to write.
        most_utts: utterances of a new speaker at most; below 1: any number.
        most_seconds: seconds of a new speaker at most, if he has several utterances;
            0 or less: any number.
        respect_speakers: a new speaker's utterances are of one old speaker.

    Returns:
        The number of speakers.

    Raises:
        UserError: there is no ``utt2dur``.
        DataError: what is wrong with it, and every utterance that is not in it.
    """
    speakers = read_table(Path(src, "utt2spk"))
    seconds: Mapping[str, float] = {}
    if most_seconds > 0:
        seconds = read_numbers(Path(src, "utt2dur"), speakers)
    chosen: dict[str, str] = {}
    new, old, count, total = "", "", 0, 0.0
    for utt, speaker in speakers.items():
        length = seconds.get(utt, 0.0)
        if (
            not new
            or (respect_speakers and speaker != old)
            or 0 < most_utts <= count
            or 0 < most_seconds < total + length
        ):
            new, count, total = utt, 0, 0.0
        chosen[utt], old = new, speaker
        count, total = count + 1, total + length
    copy(src, dst)
    write_table(Path(dst, "utt2spk"), chosen)
    write_table(Path(dst, "spk2utt"), spk2utt_of(chosen))
    for of_speakers in ("cmvn.scp", "spk2gender"):
        Path(dst, of_speakers).unlink(missing_ok=True)
    return len(set(chosen.values()))


def perturb_speed(src: str | Path, dst: str | Path, factor: str) -> None:
    """Write a directory whose audio is ``factor`` times as fast.

    Utterances, speakers and recordings get the prefix ``sp<factor>-``; ``utt2uniq``
    keeps the old names. Features and frame counts are left out: they must be made anew.

    Raises:
        UserError: the factor is not a number above 0.
        DataError: every segment or duration that has no times.
    """
    src, dst = Path(src), Path(dst)
    try:
        speed = float(factor)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UserError(f"the factor must be a number above 0, got '{factor}'")

    def rename(name: str) -> str:
        return f"sp{factor}-{name}"

    def scaled(value: str) -> str:
        return f"{float(value) / speed:.6f}".rstrip("0").rstrip(".")

    def scaled_segment(value: str) -> str:
        recording, start, end, *channel = split_words(value)
        end = end if float(end) == -1 else scaled(end)
        return " ".join([recording, scaled(start), end, *channel])

    values = {
        "wav.scp": lambda source: _perturbed(source, factor),
        "segments": scaled_segment,
        "utt2dur": scaled,
        "reco2dur": scaled,
    }
    left_out = {"feats.scp", "utt2num_frames", "utt2num_samples", "vad.scp", "cmvn.scp"}
    table_kinds(src)
    utts = read_table(src / "utt2spk")
    _derive(
        src, dst, rename, rename, rename, values, left_out,
        {"utt2uniq": {rename(utt): utt for utt in utts}},
    )  # fmt: skip


def _perturbed(source: str, factor: str) -> str:
    """The entry of wav.scp that changes the speed of another one."""
    if float(factor) == 1.0:
        return source
    if source.endswith("|"):
        return f"{source} perturb_speed.py {factor} - |"
    return f"perturb_speed.py {factor} {shlex.quote(source)} |"


def _derive(
    src: Path,
    dst: Path,
    rename_utt: Callable[[str], str],
    rename_spk: Callable[[str], str],
    rename_rec: Callable[[str], str],
    values: Mapping[str, Callable[[str], str]] | None = None,
    left_out: Collection[str] = (),
    added: Tables | None = None,
) -> None:
    """Write ``dst`` from ``src`` with other names and, by table, other values."""
    if dst.resolve() == src.resolve():
        raise UserError(f"{dst}: is both what is read and what is written")
    renames = {"utt": rename_utt, "spk": rename_spk, "rec": rename_rec}
    tables: Tables = {}
    kinds = table_kinds(src)
    if "segments" not in kinds:
        renames["rec"] = rename_utt
    for name, kind in kinds.items():
        if name == "spk2utt" or name in left_out:
            continue
        rename, change = renames[kind], (values or {}).get(name)
        table = {rename(key): value for key, value in read_table(src / name).items()}
        if change is not None:
            table = _changed(src / name, table, change)
        if name == "utt2spk":
            table = {key: rename_spk(value) for key, value in table.items()}
        if name == "segments":
            table = {key: _renamed_recording(v, rename_rec) for key, v in table.items()}
        tables[name] = table
    tables.update({k: v for k, v in (added or {}).items() if k not in tables})
    _write(dst, tables)
    copy_plain_files(src, dst)


def _changed(
    path: Path, table: Mapping[str, str], change: Callable[[str], str]
) -> dict[str, str]:
    """A table with other values; raises for each that is not what it must be."""
    changed, problems = {}, []
    for key, value in table.items():
        try:
            changed[key] = change(value)
        except ValueError as error:
            problems.append(f"{path}: '{value}' cannot be changed: {error}")
    if problems:
        remedy = f"utils/validate_data_dir.sh --no-feats {path.parent} says more"
        raise DataError([*shorten(problems), remedy])
    return changed


def _renamed_recording(segment: str, rename: Callable[[str], str]) -> str:
    recording = recording_of(segment)
    return rename(recording) + segment[len(recording) :]


def _write(dst: Path, tables: Tables) -> None:
    """Write tables, spk2utt with them, and delete those of an earlier run."""
    dst.mkdir(parents=True, exist_ok=True)
    remove_tables(dst, set(table_kinds(dst)) - set(tables))
    for name, table in tables.items():
        write_table(dst / name, table)
    write_table(dst / "spk2utt", spk2utt_of(dict(sorted(tables["utt2spk"].items()))))
