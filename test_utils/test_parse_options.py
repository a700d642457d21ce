"""utils/parse_options.sh in scripts that people bring."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[1] / "utils"
SCRIPT = """
nj=4
do_delta=false
tag=
train_config=conf/train.yaml
N=0
cmd=run.pl
help_message="Usage: x.sh 100%\\n  --nj N"
. {utils}/parse_options.sh{after}
echo "$nj|$do_delta|$tag|$train_config|$N|$#|$*"
"""

Result = subprocess.CompletedProcess[str]
Script = Callable[..., Result]


@pytest.fixture(params=["set -euo pipefail", "set +e", "guarded"])
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Script:
    """Call a script that sources parse_options.sh; strict, lax, or with ``|| exit``."""
    guarded = request.param == "guarded"
    head = "set -e" if guarded else request.param
    text = SCRIPT.format(utils=UTILS, after=" || exit 1" if guarded else "")
    (tmp_path / "x.sh").write_text(f"#!/usr/bin/env bash\n{head}{text}")

    def call(*words: str) -> Result:
        return subprocess.run(
            ["bash", "x.sh", *words], cwd=tmp_path, capture_output=True, text=True
        )

    return call


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "4|false||conf/train.yaml|0|0|"),
        (["--nj", "8"], "8|false||conf/train.yaml|0|0|"),
        (["--train-config", "a b.yaml"], "4|false||a b.yaml|0|0|"),
        (["--train_config", "x"], "4|false||x|0|0|"),
        (["--do-delta", "true", "--N", "5"], "4|true||conf/train.yaml|5|0|"),
        (["--nj", "-1"], "-1|false||conf/train.yaml|0|0|"),
        (["--nj", "1", "--nj", "2"], "2|false||conf/train.yaml|0|0|"),
        (["--tag", "", "a", "b"], "4|false||conf/train.yaml|0|2|a b"),
        (["a", "--nj", "8"], "4|false||conf/train.yaml|0|3|a --nj 8"),
        (["--nj", "8", "--", "--x"], "8|false||conf/train.yaml|0|1|--x"),
        (["--tag", "--order 3"], "4|false|--order 3|conf/train.yaml|0|0|"),
        (["-x", "y"], "4|false||conf/train.yaml|0|2|-x y"),
    ],
)
def test_values(script: Script, words: list[str], line: str) -> None:
    result = script(*words)
    assert (result.stdout, result.stderr) == (line + "\n", "")


@pytest.mark.parametrize(
    "value", ["$(touch bad)", "a;b", "'\"$HOME\"'", "*", "\\n", "ü"]
)
def test_a_value_arrives_as_it_is(script: Script, tmp_path: Path, value: str) -> None:
    assert script("--tag", value).stdout == f"4|false|{value}|conf/train.yaml|0|0|\n"
    assert not (tmp_path / "bad").exists()


def test_config_comes_before_the_other_options(script: Script, tmp_path: Path) -> None:
    (tmp_path / "my.conf").write_text("nj=9\ntag='from file'\n")
    expected = "1|false|from file|conf/train.yaml|0|1|a\n"
    assert script("--config", "my.conf", "--nj", "1", "a").stdout == expected
    assert script("--nj", "1", "--config", "./my.conf", "a").stdout == expected
    untouched = "4|false||conf/train.yaml|0|3|a --config my.conf\n"
    assert script("a", "--config", "my.conf").stdout == untouched


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--nj", "3", "--help"]])
def test_help(script: Script, words: list[str]) -> None:
    result = script(*words)
    assert result.returncode == 0
    assert result.stdout == "Usage: x.sh 100%\n  --nj N\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--trian-config", "x"],
            "unknown option --trian-config (did you mean --train-config?); try --help",
        ),
        (["--njs", "x"], "unknown option --njs (did you mean --nj?); try --help"),
        (["--no-such-thing", "x"], "unknown option --no-such-thing; try --help"),
        (["--a.b", "x"], "unknown option --a.b; try --help"),
        (["--nj=3"], "write '--nj=3' as '--nj 3'"),
        (["--nj"], "option --nj wants a value"),
        (["--do-delta", "yes"], "option --do-delta wants true or false, got 'yes'"),
        (
            ["--tag", "--nj", "3"],
            "option --tag wants a value, but the option --nj follows; write --tag '' "
            "for none",
        ),
        (["--cmd", ""], "option --cmd is empty; has cmd.sh been sourced?"),
        (["--config", "no.conf"], "--config: cannot read the file 'no.conf'"),
        (["--config", "."], "--config: cannot read the file '.'"),
    ],
)
def test_mistakes(script: Script, words: list[str], message: str) -> None:
    result = script(*words)
    assert result.returncode == 1
    assert (result.stdout, result.stderr) == ("", f"x.sh: error: {message}\n")


def test_nothing_is_left_behind(script: Script, tmp_path: Path) -> None:
    path = tmp_path / "x.sh"
    path.write_text(path.read_text() + "compgen -v | grep ^_po || compgen -A function")
    assert script("--nj", "3").stdout.splitlines()[1:] == []
