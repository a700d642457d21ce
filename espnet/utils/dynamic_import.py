"""Load a class that a config names as ``package.module:Name``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from espnet.utils.errors import UserError, did_you_mean


def dynamic_import(path: str, option: str = "import path") -> Any:
    """Return the object named ``package.module:Name``.

    Args:
        path: the name as it stands in a config.
        option: what to call it in an error message, such as ``model-module``.

    Raises:
        UserError: the form is wrong, the module is missing or lacks the name.
    """
    module_name, colon, name = path.partition(":")
    if not (module_name and colon and name):
        raise UserError(f"{option}: '{path}' must have the form package.module:Name")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{option}: cannot import '{module_name}' of '{path}': no module named "
            f"'{error.name}'; is its folder on PYTHONPATH?"
        ) from error
    if not hasattr(module, name):
        hint = did_you_mean(name, [n for n in vars(module) if not n.startswith("_")])
        raise UserError(f"{option}: module '{module_name}' has no '{name}'{hint}")
    return getattr(module, name)
