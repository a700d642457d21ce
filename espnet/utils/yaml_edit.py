"""Look up and change values of a YAML file by dotted paths: ``opt.groups.0.lr``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from espnet.utils.errors import UserError, did_you_mean

_IN_NAMES = str.maketrans("{}[]()/", "%%__--_", " |&;#*?~\"'\\\n")


def dump_yaml(value: Any) -> str:
    """YAML text: 4 blanks a level, keys in their order."""
    return yaml.safe_dump(value, indent=4, sort_keys=False, allow_unicode=True)


def look_up(config: Any, path: str) -> Any:
    """The value at a dotted path; numbers are places in a list.

    Raises:
        KeyError: there is none.
    """
    for part in path.split("."):
        config = config[_key(config, part)]
    return config


def assign(config: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path.

    Mappings that are missing are made, lists that are too short are filled with null.

    Raises:
        UserError: a part that addresses a list is no number.
    """
    node: Any = config
    parts = path.split(".")
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        key: Any = part
        if isinstance(node, list):
            if not part.isdecimal():
                raise UserError(
                    f"'{path}': '{part}' must be a number, its place in a list"
                )
            key = int(part)
            node += [None] * (key + 1 - len(node))
        elif part not in node and part.isdecimal() and int(part) in node:
            key = int(part)
        if following is None:
            node[key] = value
            return
        inner = node[key] if isinstance(node, list) else node.get(key)
        if not isinstance(inner, (dict, list)):
            inner = node[key] = {}
        node = inner


def delete(config: dict[str, Any], path: str) -> None:
    """Remove the value at a dotted path.

    Raises:
        UserError: there is none.
    """
    parent, _, part = path.rpartition(".")
    try:
        node = look_up(config, parent) if parent else config
        del node[_key(node, part)]
    except KeyError:
        hint = did_you_mean(path, map(str, config))
        raise UserError(f"no key '{path}' to delete{hint}") from None


def _key(node: Any, part: str) -> Any:
    """The key or index that ``part`` means in ``node``; KeyError if there is none."""
    if isinstance(node, dict):
        if part in node:
            return part
        if part.isdecimal() and int(part) in node:
            return int(part)
    elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        return int(part)
    raise KeyError(part)


def change(
    config: dict[str, Any], assignments: Sequence[str], deletions: Sequence[str]
) -> None:
    """Apply ``path.to.key=value`` texts, the values in YAML, after the deletions.

    Raises:
        UserError: a text of another form, a value that is no YAML, a missing key.
    """
    for path in deletions:
        delete(config, path)
    for text in assignments:
        if text.count("=") != 1 or text.startswith("="):
            raise UserError(
                f"'{text}': must have the form path.to.key=value, with one ="
            )
        path, _, value = text.partition("=")
        try:
            assign(config, path, yaml.safe_load(value))
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or "not readable"
            raise UserError(f"'{text}': value is not valid YAML: {problem}") from None


def name_after(stem: str, assignments: Sequence[str], deletions: Sequence[str]) -> str:
    """A file name that tells the changes: ``train_del-seed_batch-size24.yaml``."""
    parts = ["del-" + path for path in deletions]
    parts += [text.replace("=", "") for text in assignments]
    parts = [part.translate(_IN_NAMES) for part in parts]
    return ("_".join([stem, *parts] if stem else parts) or "config") + ".yaml"
