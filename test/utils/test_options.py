"""A dataclass field is the flag, YAML key, default, type, choices and help."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from espnet.utils.errors import UserError
from espnet.utils.options import (
    REQUIRED,
    OptionParser,
    option,
    parse_options,
    read_config,
)


@dataclass(frozen=True)
class Options:
    """Every kind of option."""

    outdir: str = option(REQUIRED, "where results go")
    elayers: int = option(4, "number of layers", aliases=("--layers", "-l"))
    eunits: int = option(300, "units")
    eps: float = option(1e-8, "epsilon")
    report_cer: bool = option(False, "report CER")
    atype: str = option("dot", "attention", choices=("dot", "location"))
    mods: tuple[str, ...] = option(("enc.",), "modules")
    weights: list[float] = option([], "weights")
    arch: list[dict] = option([], "blocks")
    resume: str | None = option("", "snapshot", optional_value=True)
    mtlalpha: float = option(0.5, "weight of CTC")
    char_list: tuple[str, ...] = field(default=())

    def check(self) -> None:
        if not 0 <= self.mtlalpha <= 1:
            raise UserError(f"mtlalpha: {self.mtlalpha} must lie in [0, 1]")


@dataclass(frozen=True)
class ModelOptions:
    """Options that only a first parse reveals."""

    adim: int = option(320, "size of attention")
    eunits: int = option(300, "units")


def read(*argv: str, **kwargs) -> Options:
    args = parse_options([Options], argv, prog="x.py", config_files=True, **kwargs)
    return read_config(Options, args)


@pytest.fixture
def yaml(tmp_path: Path):
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    "argv, name, value",
    [
        (["--elayers", "7"], "elayers", 7),
        (["--elayers=7"], "elayers", 7),
        (["--elay", "7"], "elayers", 7),
        (["--layers", "7"], "elayers", 7),
        (["-l", "7"], "elayers", 7),
        (["--report-cer"], "report_cer", True),
        (["--report_cer", "yes"], "report_cer", True),
        (["--report-cer", "0"], "report_cer", False),
        (["--mods", "a.,b.,"], "mods", ("a.", "b.")),
        (["--weights", "1", "--weights", "2"], "weights", [1.0, 2.0]),
        (
            ["--arch", "{type: conv1d, odim: 3}"],
            "arch",
            [{"type": "conv1d", "odim": 3}],
        ),
        (["--resume"], "resume", None),
        (["--eps", "1e-3"], "eps", 1e-3),
    ],
)
def test_every_spelling_of_a_flag(argv: list[str], name: str, value: object) -> None:
    assert getattr(read("--outdir", "d", *argv), name) == value


@pytest.mark.parametrize(
    "text, name, value",
    [
        ("elayers: 7", "elayers", 7),
        ("elay: 7", "elayers", 7),
        ("layers: 7", "elayers", 7),
        ("report-cer: true", "report_cer", True),
        ("report_cer: no", "report_cer", False),
        ("eps: 1e-3", "eps", 1e-3),
        ("elayers: null", "elayers", 4),
        ("weights: [1, 2.5]", "weights", [1.0, 2.5]),
        ("mods: [a., b.]", "mods", ("a.", "b.")),
        ("mods: 1_2_2", "mods", ("1_2_2",)),
        (
            "arch:\n- type: conv1d\n  kernel_size: [3, 7]\n- {type: 'a b', use: true}",
            "arch",
            [{"type": "conv1d", "kernel_size": [3, 7]}, {"type": "a b", "use": True}],
        ),
        ("", "elayers", 4),
    ],
)
def test_every_spelling_of_a_key(yaml, text: str, name: str, value: object) -> None:
    config = yaml("train.yaml", text)
    assert getattr(read("--outdir", "d", "--config", config), name) == value


def test_later_files_win_and_the_command_line_wins_over_all(yaml) -> None:
    one = yaml("1.yaml", "elayers: 1\neunits: 1\neps: 1\natype: location")
    two = yaml("2.yaml", "elayers: 2\neunits: 2\neps: 2")
    three = yaml("3.yaml", "elayers: 3\neunits: 3\nweights: [3]")
    files = ["--config3", three, "--config", one, "--config2", two]
    options = read("--outdir", "d", "--elay", "9", "--weights", "4", *files)
    assert (options.elayers, options.eunits, options.eps) == (9, 3, 2)
    assert (options.atype, options.weights) == ("location", [4.0])


@pytest.mark.parametrize(
    "text, message",
    [
        ("elayrs: 12", "unknown key 'elayrs' (did you mean 'elayers'?)"),
        ("qqq: 12", "unknown key 'qqq'"),
        ("e: 1", "'e' may mean elayers, eps, eunits"),
        ("elayers: x", "elayers: 'x' is not a whole number"),
        ("eps: big", "eps: 'big' is not a number"),
        ("report-cer: maybe", "report-cer: 'maybe' is neither true nor false"),
        (
            "atype: loc",
            "atype: 'loc' is none of dot, location (did you mean 'location'?)",
        ),
        ("- elayers", "must hold 'option: value' lines, has '- elayers'"),
        ("a: [1\nb: 2", ":2: not valid YAML"),
    ],
)
def test_an_error_in_a_config_names_the_file(yaml, text: str, message: str) -> None:
    config = yaml("train.yaml", text)
    with pytest.raises(UserError) as error:
        read("--outdir", "d", "--config", config)
    assert str(error.value).startswith(config)
    assert message in str(error.value)
    assert error.value.status == 2


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--elayrs", "1"], "unknown option '--elayrs' (did you mean 'elayers'?)"),
        (["--e", "1"], "--e: 'e' may mean"),
        (["--elayers", "x"], "invalid int value: 'x'"),
        (
            ["--atype", "loc"],
            "'loc' is none of dot, location (did you mean 'location'?)",
        ),
        (["--report-cer", "maybe"], "'maybe' is neither true nor false"),
        (["--config", "absent.yaml"], "absent.yaml"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_a_usage_error_is_one_line_and_exits_with_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as exit:
        read("--outdir", "d", *argv)
    text = capsys.readouterr().err
    assert exit.value.code == 2
    assert message in text and text.count("\n") == 1 and text.startswith("x.py: error")


def test_a_required_option(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        read()
    assert "--outdir" in capsys.readouterr().err
    with pytest.raises(UserError, match="option --outdir is missing"):
        read_config(Options, {})


def test_values_are_checked_together() -> None:
    with pytest.raises(UserError, match="mtlalpha: 1.5 must lie in"):
        read("--outdir", "d", "--mtlalpha", "1.5")


def test_a_second_pass_adds_the_options_of_the_model(yaml) -> None:
    def more(parser: OptionParser, first: Namespace) -> None:
        from espnet.utils.options import add_options

        assert first.atype == "location"
        add_options(parser, ModelOptions, "the model")

    config = yaml("train.yaml", "atype: location\nadim: 7")
    argv = ["--outdir", "d", "--config", config, "--eunits", "3"]
    args = parse_options([Options], argv, prog="x.py", config_files=True, more=more)
    assert read_config(ModelOptions, args) == ModelOptions(adim=7, eunits=3)


def test_read_config_takes_a_mapping_and_ignores_what_it_does_not_know() -> None:
    stored = {"outdir": "d", "elayers": 2, "mods": ["x."], "ngpu": 4, "weights": None}
    options = read_config(Options, stored | {"char_list": ["<blank>", "a"]})
    assert options == Options("d", elayers=2, mods=("x.",), char_list=("<blank>", "a"))
    assert read_config(Options, options) is options


def test_help_names_default_and_choices(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit:
        read("--help")
    text = capsys.readouterr().out
    assert exit.value.code == 0
    assert "{dot,location}" in text and "(default: 300)" in text
    assert "(required)" in text and "(default: None)" not in text
    assert "--layers" in text and "--char-list" not in text


def test_options_import_nothing_heavy() -> None:
    code = "import espnet.utils.options, sys; print('torch' in sys.modules)"
    root = str(Path(__file__).resolve().parents[2])
    out = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": root}, capture_output=True
    )
    assert out.stdout == b"False\n", out.stderr.decode()
