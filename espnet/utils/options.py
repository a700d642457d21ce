"""Options: a dataclass field is the flag, YAML key, default, type, choices and help.

    @dataclass(frozen=True)
    class TrainOptions:
        outdir: str = option(REQUIRED, "directory for the results")
        elayers: int = option(4, "number of encoder layers")
        atype: str = option("dot", "kind of attention", choices=("dot", "add"))

    args = parse_options([TrainOptions], argv, prog="asr_train.py")
    options = read_config(TrainOptions, args)

Flags may be written with ``-`` or ``_`` and shortened while they stay unique. With
``config_files=True`` the options ``--config``, ``--config2`` and ``--config3`` name
YAML files; the later file wins, the command line wins over all.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import re
import sys
import typing
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import configargparse

from espnet.utils.errors import UsageError, UserError, did_you_mean, one_of
from espnet.utils.option_values import (
    number,
    number_or_none,
    parse_bool,
    parse_list,
    parse_mapping,
    plain_type,
)
from espnet.utils.yaml_files import load_yaml

REQUIRED: Any = dataclasses.MISSING
# ConfigArgParse looks for each of these alone and would take --config for a shortened
# --config3; under its first name none is the beginning of another.
CONFIG_FLAGS = (
    (("--config1", "--config"), "YAML file with options"),
    (("--config2",), "YAML file whose options win over --config"),
    (("--config3",), "YAML file whose options win over --config2"),
)
Config = TypeVar("Config")


def option(
    default: Any,
    help: str,
    *,
    choices: Iterable[Any] | None = None,
    aliases: Sequence[str] = (),
    parse: Callable[[str], Any] | None = None,
    optional_value: bool = False,
    several: bool = False,
) -> Any:
    """Declare an option as a dataclass field.

    Args:
        default: its value when not given; REQUIRED if it must be given.
        help: one line for ``--help``.
        choices: the allowed values, usually the keys of a table.
        aliases: further flags, such as ``("--batch-seqs", "-b")``.
        parse: text -> value, where the annotated type does not say it; raise ValueError
            with a reason.
        optional_value: the bare flag is accepted and stands for no value (``None``).
        several: a flag with a list takes any number of values.
    """
    metadata = {
        "help": help,
        "choices": tuple(choices) if choices is not None else None,
        "aliases": tuple(aliases),
        "parse": parse,
        "optional_value": optional_value,
        "several": several,
    }
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def option_like(config: type, name: str, *, default: Any) -> Any:
    """Declare an option of ``config`` again, with another default."""
    fields = {field.name: field for field in dataclasses.fields(config)}
    return dataclasses.field(default=default, metadata=fields[name].metadata)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default only where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.required:
            return f"{action.help} (required)"
        if action.default in (None, ""):
            return action.help
        return super()._get_help_string(action)


class OptionParser(configargparse.ArgumentParser):
    """ConfigArgParse with our spelling rules and with errors that name the file."""

    def __init__(self, prog: str, description: str = "", **kwargs: Any) -> None:
        super().__init__(
            prog=prog,
            description=description or None,
            formatter_class=_HelpFormatter,
            default_config_files=[],
            add_env_var_help=False,
            add_config_file_help=False,
            **kwargs,
        )
        self._config_file_parser = _YamlOptions(self)
        self.elsewhere: dict[str, str] = {}  # names of other options -> whose they are
        self.level = logging.DEBUG  # of messages about keys that are ignored

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2, the status of a usage error."""
        hint = f"try '{self.prog} --help'"
        self.exit(2, f"{self.prog}: error: {message} ({hint})\n")
        raise AssertionError("exit returned")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Argparse's check of choices, with the sentence that configs get too."""
        if action.choices is not None and value not in action.choices:
            message = one_of("invalid choice", value, map(str, action.choices))
            raise argparse.ArgumentError(action, message)

    def find(self, name: str) -> argparse.Action | None:
        """The option that ``name`` means: exact, an alias, or a unique prefix.

        Raises:
            ValueError: the prefix fits several options.
        """
        name = name.replace("_", "-")
        flags = {
            flag[2:].replace("_", "-"): action
            for action in self._actions
            for flag in action.option_strings
            if flag.startswith("--")
        }
        if name in flags:
            return flags[name]
        hits = {id(flags[flag]): flag for flag in flags if flag.startswith(name)}
        if len(hits) > 1:
            raise ValueError(f"'{name}' may mean {', '.join(sorted(hits.values()))}")
        return flags[next(iter(hits.values()))] if hits else None

    def hint(self, name: str) -> str:
        """What to add when there is no option ``name``: whose it is, or the nearest."""
        name = name.lstrip("-").replace("_", "-")
        owner = self.elsewhere.get(name)
        return f": it is for {owner}" if owner else did_you_mean(name, self.flags())

    def flags(self) -> list[str]:
        """Every long flag without its dashes."""
        return [f[2:] for a in self._actions for f in a.option_strings if f[:2] == "--"]

    def parse_known_args(
        self, args: Sequence[str] | None = None, *rest: Any, **kwargs: Any
    ) -> tuple[Namespace, list[str]]:
        """Like argparse's, after each flag has got its full spelling."""
        if args is not None:
            args = [self._full_spelling(arg) for arg in args]
        parsed = super().parse_known_args(args, *rest, **kwargs)
        return typing.cast(tuple[Namespace, list[str]], parsed)

    def _full_spelling(self, arg: str) -> str:
        if not arg.startswith("--") or arg == "--":
            return arg
        name, equals, value = arg[2:].partition("=")
        try:
            action = self.find(name)
        except ValueError as error:
            self.error(f"--{name}: {error}")
        if action is None:
            return arg
        flag: str = action.option_strings[0]
        return flag + equals + value


class _YamlOptions(configargparse.ConfigFileParser):
    """Reads a YAML config for an OptionParser; each error names file, key and value."""

    def __init__(self, parser: OptionParser) -> None:
        super().__init__()
        self.parser = parser

    def get_syntax_description(self) -> str:
        return "YAML: one 'option: value' a line"

    def parse(self, stream: Any) -> OrderedDict[str, Any]:
        settings: OrderedDict[str, Any] = OrderedDict()
        for key, value in load_yaml(stream.name, stream.read()).items():
            action = self._action(stream.name, str(key))
            if action is None or value is None:  # null keeps the default
                continue
            flag = action.option_strings[0]
            settings[flag.lstrip("-")] = self._text(stream.name, key, action, value)
        return settings

    def _action(self, file: str, key: str) -> argparse.Action | None:
        try:
            action = self.parser.find(key)
        except ValueError as error:
            raise UsageError(f"{file}: {error}") from None
        if action is None:
            problem = f"{file}: unknown key '{key}'{self.parser.hint(key)}"
            if not self.parser._ignore_unknown_config_file_keys:
                raise UsageError(problem)
            logging.log(self.parser.level, "%s; it is not used", problem)
        return action

    def _text(
        self, file: str, key: str, action: argparse.Action, value: Any
    ) -> str | list[str]:
        """The value as argparse would read it from a command line, checked here."""
        repeatable = isinstance(action, argparse._AppendAction)
        if isinstance(value, list) and not repeatable:
            value = ",".join(str(v) for v in value)
        texts = [_as_text(v) for v in (value if isinstance(value, list) else [value])]
        for text in texts:
            try:
                parsed = action.type(text) if callable(action.type) else text
            except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
                reason = _reason(error, text, action)
                raise UsageError(f"{file}: {key}: {reason}") from None
            if action.choices is not None and parsed not in action.choices:
                choices = [str(c) for c in action.choices]
                raise UsageError(f"{file}: " + one_of(key, text, choices))
        return texts if repeatable else texts[0]


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (dict, list, bool)) else str(value)


def _reason(error: Exception, text: str, action: argparse.Action) -> str:
    kinds = {"int": "a whole number", "float": "a number"}
    kind = kinds.get(getattr(action.type, "__name__", ""))
    return f"'{text}' is not {kind}" if kind else str(error)


def add_options(parser: argparse.ArgumentParser, config: type, title: str = "") -> None:
    """Add a flag for each option field of a dataclass; those already there stay."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", config.__name__)
    group = parser.add_argument_group(title or words.lower())
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        flag = "--" + field.name.replace("_", "-")
        if field.metadata and flag not in parser._option_string_actions:
            group.add_argument(
                flag, *field.metadata["aliases"], **_argument(field, hints[field.name])
            )


def _argument(field: dataclasses.Field, hint: Any) -> dict[str, Any]:
    """The keyword arguments of argparse's add_argument for one field."""
    meta = field.metadata
    kind = plain_type(hint)
    argument: dict[str, Any] = {"dest": field.name, "help": meta["help"]}
    if field.default_factory is not dataclasses.MISSING:
        argument["default"] = None
    elif field.default is REQUIRED:
        argument["required"] = True
    elif isinstance(field.default, tuple) and not meta["parse"]:  # shown as a text
        argument["default"] = ",".join(field.default)
    else:
        argument["default"] = field.default
    if typing.get_origin(kind) is list:
        argument["action"] = "extend" if meta["several"] else "append"
        argument["nargs"] = "*" if meta["several"] else None
        kind = typing.get_args(kind)[0]
    elif kind is bool:
        argument.update(nargs="?", const=True)
    elif meta["optional_value"]:
        argument.update(nargs="?", const=None)
    named: dict[Any, Callable[[str], Any]] = {bool: parse_bool, float: number}
    named |= {dict: parse_mapping, tuple: parse_list}
    named |= {int: number_or_none} if meta["optional_value"] else {}
    base = typing.get_origin(kind) or kind
    argument["type"] = _typed(meta["parse"] or named.get(base, base))
    if meta["choices"] is not None:
        argument["choices"] = meta["choices"]
        argument["metavar"] = "{" + ",".join(str(c) for c in meta["choices"]) + "}"
    return argument


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser whose reason argparse prints, where it would only name the type."""
    if parse in (int, number, str):
        return parse

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def parse_options(
    configs: Sequence[type],
    argv: Sequence[str] | None,
    *,
    prog: str,
    description: str = "",
    config_files: bool = False,
    strict_configs: bool = True,
    more: Callable[[OptionParser, Namespace], None] | None = None,
) -> Namespace:
    """Parse a command line (and YAML configs) into a Namespace of option values.

    Args:
        configs: the dataclasses whose fields are the options.
        argv: the arguments; None for those of the process.
        prog: the command's name in messages.
        config_files: offer ``--config``, ``--config2``, ``--config3``.
        strict_configs: unknown keys in these are errors; otherwise warnings.
        more: adds the options that depend on the values of others (the model's own,
            once ``--model-module`` is known); gets the parser and a first, lenient
            parse.

    Raises:
        UserError: a config file is missing or wrong. Usage errors exit with 2.
    """
    argv = list(sys.argv[1:] if argv is None else argv)

    def build(**kwargs: Any) -> OptionParser:
        parser = OptionParser(prog, description, **kwargs)
        for flags, help in CONFIG_FLAGS if config_files else ():
            dest = flags[-1].lstrip("-")
            parser.add_argument(*flags, dest=dest, is_config_file_arg=True, help=help)
        for config in configs:
            add_options(parser, config)
        return parser

    parser = build(ignore_unknown_config_file_keys=not strict_configs)
    parser.level = logging.WARNING
    if more is not None:
        first = build(add_help=False, ignore_unknown_config_file_keys=True)
        for action in first._actions:
            action.required = False
        more(parser, first.parse_known_args(argv)[0])
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        name = unknown[0].split("=")[0]
        if not name.startswith("-"):
            parser.error(f"unexpected argument '{name}': options are --name value")
        parser.error(f"unknown option '{name}'{parser.hint(name)}")
    for config in configs:
        read_config(config, args)  # its check() looks at all values together
    return args


def read_config(config: type[Config], values: Namespace | Mapping | Config) -> Config:
    """Build a config dataclass from a Namespace, a mapping (``model.json``) or itself.

    Missing keys take the field's default; keys that the dataclass does not have are
    ignored. A method ``check()`` of the dataclass then looks at the values together.

    Raises:
        UserError: from ``check()``, or a required option is missing.
    """
    if isinstance(values, config):
        return values
    given = values if isinstance(values, Mapping) else vars(values)
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        if field.name not in given:
            continue
        value = given[field.name]
        factory = field.default_factory
        if value is None and factory is not dataclasses.MISSING:
            continue
        chosen[field.name] = tuple(value) if _wants_tuple(field, value) else value
    try:
        result = config(**chosen)
    except TypeError:
        missing = [
            f.name
            for f in dataclasses.fields(config)  # type: ignore[arg-type]
            if f.default is REQUIRED
            and f.default_factory is REQUIRED
            and f.name not in chosen
        ]
        if not missing:
            raise
        raise UserError(f"option --{missing[0].replace('_', '-')} is missing") from None
    check = getattr(result, "check", None)
    if check is not None:
        check()
    return result


def _wants_tuple(field: dataclasses.Field, value: Any) -> bool:
    return isinstance(value, list) and "tuple" in str(field.type)
