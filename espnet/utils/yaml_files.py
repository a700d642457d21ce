"""Read YAML files; errors name file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from espnet.utils.errors import UsageError, UserError


class _Loader(yaml.SafeLoader):
    """Safe; what YAML 1.1 takes for numbers with ``_`` stays text, as ``1_2_2``."""

    def construct_yaml_int(self, node: Any) -> Any:
        if "_" in node.value:
            return node.value
        return super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: missing file, not YAML, or no mapping.
    """
    try:
        return load_yaml(str(path), Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error.reason}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def load_yaml(file: str, text: str) -> dict[str, Any]:
    """The mapping in a YAML text; ``file`` is named in errors.

    Raises:
        UsageError: not YAML, or not a mapping at the top.
    """
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        raise UsageError(f"{file}{line}: not valid YAML: {problem}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"{file}: must hold 'option: value' lines, has {text[:40]!r}")
    return content
