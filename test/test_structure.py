"""The tree keeps the shape that DESIGN and CONTRIBUTING promise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "espnet"
FILES = sorted(PACKAGE.rglob("*.py"))

# who may import whom: a package sees those of the rows below it, and itself
LAYERS = (
    {"bin"},
    {"asr", "lm", "tts", "vc"},
    {"train"},
    {"data", "text", "scoring", "nets", "jobs"},
    {"transform"},
    {"utils"},
)
MAY_SEE_BESIDE = {("data", "text"), ("scoring", "text"), ("scoring", "data")}
CLOSED = {"jobs", "utils"}  # import nothing of espnet but utils

# longer than a reader can hold, with the reason
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def module(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def rank(name: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def test_there_is_a_package_to_look_at() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_point_down(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:
        return
    here = parts[0]
    for line, name in imports(path):
        if not name.startswith("espnet.") or name.split(".")[1] == here:
            continue
        there = name.split(".")[1]
        below = rank(there) > rank(here) or (here, there) in MAY_SEE_BESIDE
        allowed = there == "utils" if here in CLOSED else below
        assert allowed, f"{module(path)}:{line}: {here} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_only_ark_imports_kaldiio(path: Path) -> None:
    if path != PACKAGE / "data" / "ark.py":
        assert "kaldiio" not in {name.split(".")[0] for _, name in imports(path)}


@pytest.mark.parametrize("path", sorted((PACKAGE / "nets").rglob("*.py")), ids=module)
def test_models_have_linear_layers_of_ours(path: Path) -> None:
    """Those of torch are slow on processors that are not Intel's."""
    assert "nn.Linear(" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_reader_can_hold_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if module(path) not in LONG_FILES:
        assert len(text.splitlines()) <= 420, f"{module(path)} has over 420 lines"
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        name = f"{module(path)}:{node.name}"
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lines = node.end_lineno - body[0].lineno + 1 if body else 0
        if name not in LONG_FUNCTIONS:
            assert lines <= 60, f"{name} has {lines} lines"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_public_names_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module(path)}: {node.name}"


def test_commands_are_short() -> None:
    for path in (PACKAGE / "bin").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path.name
