"""change_yaml.py and get_yaml.py, with the tutorial's examples."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., str]
CONFIG = """\
# a comment
epochs: 30
batch-size: 30
block:
    - type: a
      n: 1
    - type: b
text: ä b
flag: true
"""


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """What ``conf/train.yaml`` holds."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/train.yaml").write_text(CONFIG, encoding="utf-8")
    return yaml.safe_load(CONFIG)  # type: ignore[no-any-return]


def test_the_tutorials_examples(
    tmp_path: Path, config: dict[str, Any], stdout_of: Call
) -> None:
    command = ["change_yaml.py", "conf/train.yaml", "-a", "batch-size=24"]
    assert (
        stdout_of(*command, "-a", "epochs=10")
        == "conf/train_batch-size24_epochs10.yaml\n"
    )
    text = (tmp_path / "conf/train_batch-size24_epochs10.yaml").read_text()
    changed = yaml.safe_load(text)
    assert changed == config | {"batch-size": 24, "epochs": 10}
    assert list(changed) == list(config)  # the order stays
    assert stdout_of(*command, "-o", "conf/train2.yaml") == "conf/train2.yaml\n"
    assert yaml.safe_load((tmp_path / "conf/train2.yaml").read_text())["epochs"] == 30


@pytest.mark.parametrize(
    ("arguments", "name", "content"),
    [
        ("-a api=v2", "api v2", None),
        ("-a a.b.c=1.5", "a.b.c1.5", {"a": {"b": {"c": 1.5}}}),
        ("-a a={b: [1, {c: x}]}", "a%b:_1,%c:x%_%", {"a": {"b": [1, {"c": "x"}]}}),
        ("-a a=(1|&;#*?~\"'\\)", "a-1-", None),
        ("-a a=b/c", "ab_c", {"a": "b/c"}),
        ("-a a=", "a", {"a": None}),
        ("-a a=true -a b=ä", "atrue_bä", {"a": True, "b": "ä"}),
        ("", "config", {}),
    ],
)
def test_names_and_values_without_a_file(
    tmp_path: Path,
    stdout_of: Call,
    arguments: str,
    name: str,
    content: dict[str, Any] | None,
) -> None:
    words = arguments.replace("-a ", "\n-a\n").split("\n")
    words = [word.strip() for word in words if word]
    name = name.replace(" ", "") + ".yaml"
    assert stdout_of("change_yaml.py", *words) == name + "\n"
    if content is not None:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert yaml.safe_load(text) == content


def test_lists_and_deletions(
    tmp_path: Path, config: dict[str, Any], stdout_of: Call
) -> None:
    path = stdout_of(
        *("change_yaml.py", "conf/train.yaml", "--outdir", "new"),
        *("-d", "block.0.n", "--delete", "text", "--arg", "block.3.n=7"),
    ).strip()
    assert path == "new/train_del-block.0.n_del-text_block.3.n7.yaml"
    changed = yaml.safe_load((tmp_path / path).read_text())
    assert changed["block"] == [{"type": "a"}, {"type": "b"}, None, {"n": 7}]
    assert "text" not in changed
    text = (tmp_path / path).read_text()
    assert "\n-   type: a" in text  # 4 blanks a level


def test_nothing_to_change_keeps_the_file(
    tmp_path: Path, config: dict[str, Any], stdout_of: Call
) -> None:
    assert stdout_of("change_yaml.py", "conf/train.yaml") == "conf/train.yaml\n"
    assert "# a comment" in (tmp_path / "conf/train.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["-a", "epochs"],
            "train.yaml: 'epochs': must have the form path.to.key=value",
        ),
        (["-a", "a=b=c"], "'a=b=c': must have the form path.to.key=value, with one ="),
        (["-a", "a=[1"], "'a=[1': value is not valid YAML"),
        (
            ["-a", "block.x.n=1"],
            "'block.x.n': 'x' must be a number, its place in a list",
        ),
        (
            ["-d", "epoch"],
            "train.yaml: no key 'epoch' to delete (did you mean 'epochs'?)",
        ),
        (["-d", "block.7"], "no key 'block.7' to delete"),
        (["-o", "x", "--outdir", "y"], "--outyaml and --outdir: give only one"),
    ],
)
def test_change_yaml_errors(
    config: dict[str, Any], error_of: Call, arguments: list[str], words: str
) -> None:
    assert words in error_of("change_yaml.py", "conf/train.yaml", *arguments)


@pytest.mark.parametrize(
    ("path", "printed"),
    [
        ("epochs", "30\n"),
        ("block.1.type", "b\n"),
        ("block.0", '{"type": "a", "n": 1}\n'),
        ("text", "ä b\n"),
        ("flag", "true\n"),
        ("none", ""),
        ("block.5", ""),
        ("epochs.x", ""),
    ],
)
def test_get_yaml(
    config: dict[str, Any], stdout_of: Call, path: str, printed: str
) -> None:
    assert stdout_of("get_yaml.py", "conf/train.yaml", path) == printed


def test_get_yaml_errors(tmp_path: Path, run: Run, error_of: Call) -> None:
    assert "none.yaml: cannot be read" in error_of("get_yaml.py", "none.yaml", "a")
    (tmp_path / "bad.yaml").write_text("a: 1\nb: [\n")
    done = run("get_yaml.py", "bad.yaml", "a")
    assert done.returncode == 2 and "bad.yaml:3: not valid YAML" in done.stderr
