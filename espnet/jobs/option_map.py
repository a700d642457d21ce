"""How a cluster's submit command says what ``--mem 2G`` says: ``conf/slurm.conf`` etc.

One rule in a line; what follows ``#`` is a comment::

    command sbatch              # the submit command, with what it always gets
    option mem=* --mem=$0       # --mem with any value, which stands for $0
    option gpu=0                # --gpu 0 adds nothing; an exact value goes before *
    option gpu=* --gres=gpu:$0
    default gpu=0               # what holds where --gpu is not given
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from espnet.utils.errors import DataError, UserError, did_you_mean

SHARED = Path(__file__).resolve().parents[2] / "utils" / "conf"
LAUNCHER_OPTIONS = ("config", "max_jobs_run")  # not looked up: launchers know them
RULES = "'command ...', 'option name=value ...', 'option name=* ...', 'default name=v'"


@dataclass
class OptionMap:
    """The rules of one file.

    Attributes:
        source: the file's name, for messages.
        command: the submit command.
        options: name -> value or ``*`` -> what the submit command gets.
        defaults: name -> value.
    """

    source: str
    command: list[str] = field(default_factory=list)
    options: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)

    def submit_command(self, options: Mapping[str, str]) -> list[str]:
        """The submit command with what the given options and the defaults add.

        Raises:
            UserError: the file has no rule for an option or its value.
        """
        given = {k: v for k, v in options.items() if k not in LAUNCHER_OPTIONS}
        words = list(self.command)
        for name, value in {**self.defaults, **given}.items():
            words += self._arguments(name, value)
        return [os.path.expandvars(word) for word in words]

    def _arguments(self, name: str, value: str) -> list[str]:
        flag = f"option --{name.replace('_', '-')} {value}"
        if name not in self.options:
            raise UserError(
                f"{flag}: {self.source} has no line 'option {name}=* ...' that says "
                f"what the cluster gets{did_you_mean(name, self.options)}"
            )
        rules = self.options[name]
        if value not in rules and "*" not in rules:
            known = ", ".join(f"{name}={known}" for known in rules)
            raise UserError(
                f"{flag}: {self.source} has lines for {known} only; add one for "
                f"'option {name}=*' or for this value"
            )
        words = rules[value] if value in rules else rules["*"]
        return [word.replace("$0", value) for word in words]


def find_option_map(given: str | None, name: str) -> OptionMap:
    """The rules of ``--config``, else of ``conf/<name>``.

    A ``conf/x.conf`` that the recipe does not have is looked for in ``utils/conf``.

    Raises:
        UserError: there is no such file, or it has mistakes.
    """
    path = Path(given or f"conf/{name}")
    shared = SHARED / path.name
    if not path.is_file() and path.parent == Path("conf") and shared.is_file():
        path = shared
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"--config {path}: is not a text file") from None
    return read_option_map(text.splitlines(), str(path))


def read_option_map(lines: Iterable[str], source: str) -> OptionMap:
    """The rules in the lines of a file.

    Raises:
        DataError: every line that is not a rule, with its number.
    """
    rules = OptionMap(source)
    problems = []
    for number, line in enumerate(lines, 1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        problem = _add_rule(rules, text) if text else None
        if problem:
            problems.append(f"{source}:{number}: '{text}': {problem}")
    if not problems and not rules.command:
        problems = [f"{source}: has no line 'command ...' with the submit command"]
    lost = [name for name in rules.defaults if name not in rules.options]
    problems += [
        f"{source}: 'default {name}={rules.defaults[name]}' needs a line "
        f"'option {name}=* ...'{did_you_mean(name, rules.options)}"
        for name in lost
        if not problems and name not in LAUNCHER_OPTIONS
    ]
    if problems:
        raise DataError(problems)
    return rules


def _add_rule(rules: OptionMap, text: str) -> str | None:
    """Add what a line says; what is wrong with it, if anything."""
    kind, _, rest = text.partition(" ")
    try:
        words = shlex.split(rest)
    except ValueError as error:
        return f"{error}".lower()
    if kind == "command":
        if not words:
            return "the submit command is missing"
        rules.command = words
        return None
    if kind not in ("option", "default"):
        return f"is none of {RULES}"
    match = re.fullmatch(r"(\w+)=(\S+)", words[0]) if words else None
    if match is None:
        return f"wants name=value after '{kind}'; write it like '{kind} gpu=0'"
    if kind == "option":
        rules.options.setdefault(match[1], {})[match[2]] = words[1:]
    elif len(words) > 1:
        return "a default is one name=value and nothing else"
    else:
        rules.defaults[match[1]] = match[2]
    return None
