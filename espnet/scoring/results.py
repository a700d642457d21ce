"""Error rates of all experiments as Markdown: what ``show_result.sh`` prints."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from espnet.utils.errors import UserError
from espnet.utils.options import option

HEADINGS = {"CER": "result.txt", "WER": "result.wrd.txt"}
COLUMNS = ("dataset", "Snt", "Wrd", "Corr", "Sub", "Del", "Ins", "Err", "S.Err")


@dataclass(frozen=True)
class ShowOptions:
    """Which directories are looked at."""

    mindepth: int = option(0, "levels below expdir at which experiments begin")
    maxdepth: int = option(1, "levels below expdir at which experiments end")


def results(expdir: Path, options: ShowOptions) -> str:
    """A section for each experiment with ``*/result.txt``: a table of CER, one of WER.

    Raises:
        UserError: no such directory, or no results in it.
    """
    if not expdir.is_dir():
        raise UserError(f"{expdir}: no such directory")
    sections = [
        section
        for folder in _folders(expdir, options.mindepth, options.maxdepth)
        if (section := _section(folder))
    ]
    if not sections:
        raise UserError(
            f"{expdir}: no */result.txt between {options.mindepth} and "
            f"{options.maxdepth} levels below; decode and score first (stage 5)"
        )
    return "\n".join(["# RESULTS", "## Environments", *_environment(), "", *sections])


def _folders(top: Path, mindepth: int, maxdepth: int, depth: int = 0) -> Iterator[Path]:
    if depth >= mindepth:
        yield top
    if depth < maxdepth:
        for folder in sorted(top.iterdir()):
            if folder.is_dir():
                yield from _folders(folder, mindepth, maxdepth, depth + 1)


def _section(folder: Path) -> str:
    """The tables of one experiment; empty without results."""
    text = ""
    for heading, file in HEADINGS.items():
        rows = [_row(path) for path in sorted(folder.glob(f"*/{file}"))]
        if rows:
            head = [COLUMNS, ("---",) * len(COLUMNS)]
            table = "".join(f"|{'|'.join(row)}|\n" for row in [*head, *rows])
            text += f"### {heading}\n\n{table}\n"
    return f"## {folder.resolve().name}\n{text}" if text else ""


def _row(path: Path) -> list[str]:
    """The ``Sum/Avg`` row of a report.

    Raises:
        UserError: the file is no report.
    """
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, numbers = line.strip().removeprefix("|").partition("|")
        cells = numbers.replace("|", " ").split()
        if name.strip() == "Sum/Avg" and len(cells) == len(COLUMNS) - 1:
            return [path.parent.name, *cells]
    raise UserError(f"{path}: has no Sum/Avg row; score {path.parent} again")


def _environment() -> list[str]:
    lines = [f"- date: {date.today()}", f"- Python: {platform.python_version()}"]
    for package in ("espnet", "torch"):
        try:
            lines.append(f"- {package}: {version(package)}")
        except PackageNotFoundError:
            continue
    commit = _commit()
    return [*lines, f"- Git commit: {commit}"] if commit else lines


def _commit() -> str:
    """The commit checked out here; empty outside a repository."""
    command = ["git", "rev-parse", "--verify", "--quiet", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
