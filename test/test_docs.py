"""The documentation: it builds, lists every option, and quotes messages that exist."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from espnet.asr.train_options import MODEL_OPTIONS
from espnet.lm.optimizer import OPTIMIZERS
from espnet.nets.pytorch_backend.lm.options import LANGUAGE_MODELS
from espnet.train.scheduler import SCHEDULERS

ROOT = Path(__file__).resolve().parents[1]
DOC = ROOT / "doc"
WRITTEN = sorted(DOC.glob("*.md"))
OUTSIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
GAP = "\0"  # in a message, what differs
# command lines whose --help has all options of a command together
HELP = {
    "asr_train": [["--model-module", path] for path in MODEL_OPTIONS],
    "asr_recog": [[]],
    "asr_align": [[]],
    "asr_stream": [[]],
    "lm_train": [
        *(["--model-module", name] for name in LANGUAGE_MODELS),
        *(["--opt", name] for name in OPTIMIZERS),
    ],
}
for _name in ("asr_train", "lm_train"):
    HELP[_name] += [["--schedulers", f"lr={scheduler}"] for scheduler in SCHEDULERS]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """The hook, loaded from its file as mkdocs does."""
    spec = importlib.util.spec_from_file_location("docs", ROOT / "tools" / "docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(docs: ModuleType) -> dict[str, str]:
    written: dict[str, str] = docs.pages()
    return written


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The built site, and what mkdocs said; a warning is an error (mkdocs.yml)."""
    pytest.importorskip("mkdocs", reason="pip install mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


def test_the_site_builds_without_a_warning(
    site: tuple[Path, str], pages: dict[str, str]
) -> None:
    folder, said = site
    assert "WARNING" not in said and "not included" not in said
    names = [*(path.name for path in WRITTEN), *pages]
    for name in names:
        assert (folder / name).with_suffix(".html").is_file()


def test_pages_are_whole(site: tuple[Path, str]) -> None:
    folder, _ = site
    for path in folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert r"\|" not in text, f"{path.name} shows how a | is written in tables"
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"?(https?:)?//", text)
        body = re.sub(r"<(pre|code).*?</\1>", "", text, flags=re.DOTALL)
        assert "| ---" not in body, f"{path.name} has a table that is none"
        assert "```" not in body, f"{path.name} has a block that is none"


def test_every_command_is_there() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (commands,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMMANDS"
    ]
    assert set(commands) == set(HELP)


@pytest.mark.parametrize(
    ("command", "chosen"),
    [(name, chosen) for name, lines in HELP.items() for chosen in lines],
)
def test_every_option_has_its_line(
    command: str,
    chosen: list[str],
    pages: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = importlib.import_module(f"espnet.bin.{command}").main
    with pytest.raises(SystemExit):
        main([*chosen, "--help"])
    flags = re.findall(r"^  (--?[\w-]+)", capsys.readouterr().out, re.MULTILINE)
    assert len(flags) > 10
    page = pages[f"options/{command}.md"]
    missing = {f for f in flags if f"`{f}`" not in page}
    assert missing <= {"-h", "--config1"}


@pytest.mark.parametrize("recipe", sorted((ROOT / "egs").glob("*/asr1/run.sh")))
def test_every_recipe_option_has_its_line(recipe: Path, pages: dict[str, str]) -> None:
    done = subprocess.run(
        [str(recipe), "--help"],
        cwd=recipe.parent,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    flags = set(re.findall(r"^  (--[\w-]+)", done.stdout, re.MULTILINE))
    assert len(flags) > 10
    page = pages["options/asr_recipe.md"]
    assert not {flag for flag in flags if f"`{flag}`" not in page}


def test_every_task_script_has_a_page(docs: ModuleType) -> None:
    scripts = {
        path.name
        for path in (ROOT / "utils").glob("*.sh")
        if re.search(r"^\. recipe\.sh$", path.read_text(encoding="utf-8"), re.M)
    }
    assert scripts and scripts == set(docs.TASKS.values())


def test_every_tool_says_what_it_is_for(docs: ModuleType) -> None:
    tools = [p for p in (ROOT / "utils").rglob("*") if docs.is_command(p)]
    assert len(tools) > 50
    assert not [path.name for path in tools if len(docs.purpose(path)) < 15]


# ---- what the written pages say of the code


def quoted_messages() -> list[str]:
    """The messages in the first columns of the tables about troubles."""
    text = (DOC / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(.+?)` \|", text.replace("\\|", "|"), re.MULTILINE)


def joined(values: list[Any]) -> str:
    return "".join(
        str(value.value) if isinstance(value, ast.Constant) else GAP for value in values
    )


def python_texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield joined(node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%(\.\d)?[sdgfr]", GAP, node.value)


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """Every text in the code that may be printed, with gaps for values."""
    texts: list[str] = []
    for path in [*(ROOT / "espnet").rglob("*.py"), *(ROOT / "utils").glob("*.py")]:
        texts += python_texts(path)
    for path in (ROOT / "utils").glob("*.sh"):
        text = re.sub(r'" \\\n\s*"', " ", path.read_text(encoding="utf-8"))
        texts += re.sub(r"\$(\{[^}]*\}|\w)", GAP, text).splitlines()
    return texts


def test_there_are_messages_to_explain() -> None:
    assert len(quoted_messages()) > 40


@pytest.mark.parametrize("message", quoted_messages())
def test_an_explained_message_exists(message: str, messages: list[str]) -> None:
    parts = [re.escape(part) for part in message.split("...") if part]
    wanted = re.compile(f".*?{GAP}.*?".join(parts), re.DOTALL)
    assert any(wanted.search(text) for text in messages)


@pytest.mark.parametrize("page", [*WRITTEN, *OUTSIDE], ids=lambda path: path.name)
def test_files_that_pages_name_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tops = "espnet|utils|egs|doc|test|test_utils|tools"
    named = re.findall(
        rf"(?<![\w/.])(?:{tops})/[\w./-]+\.(?:py|sh|md|yaml|conf)\b", text
    )
    for name in named:
        assert (ROOT / name).exists(), f"{page.name}: {name}"


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda path: path.name)
def test_links_outside_the_site_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8"))
    for link in links:
        assert link.startswith("http") or (ROOT / link).exists(), link
