"""Pages of the documentation that the code itself writes: options, commands, recipes.

A hook of mkdocs: ``mkdocs.yml`` names this file, and ``mkdocs build`` adds the pages of
``pages()`` to those of ``doc/``.
"""

from __future__ import annotations

import argparse
import ast
import html
import importlib
import os
import re
import subprocess
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet.asr.align_options import AlignOptions
from espnet.asr.recog_options import RecogOptions
from espnet.asr.stream_options import StreamOptions
from espnet.asr.train_options import MODEL_OPTIONS, InitOptions, TrainOptions
from espnet.lm.optimizer import OPTIMIZERS
from espnet.lm.train_options import LMTrainOptions
from espnet.nets.pytorch_backend.lm.options import LANGUAGE_MODELS
from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.nets.search_options import SearchOptions
from espnet.train.options import add_scheduler_options
from espnet.train.scheduler import SCHEDULERS
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.options import CONFIG_FLAGS, OptionParser, add_options

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
# the scripts that a run.sh sources, each with the options of a task
TASKS = {"asr": "asr.sh"}
# an option in a run.sh: name, value, help
OWN_OPTION = re.compile(r"^(\w+)=((?!\().*?)[ \t]*(?:[ \t]# (.*))?$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs: add the pages."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(content: str, **_: object) -> str:
    """Called by mkdocs: show ``|`` in the code of a table, which is written ``\\|``."""
    return re.sub(
        "<code>[^<]*</code>", lambda code: code[0].replace(r"\|", "|"), content
    )


def pages() -> dict[str, str]:
    """Every written page, Markdown by the name of its file."""
    result = {f"options/{name}.md": text for name, text in command_pages().items()}
    for task, script in TASKS.items():
        result[f"options/{task}_recipe.md"] = recipe_page(script)
    result["tools.md"] = tools_page()
    result["results.md"] = results_page()
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    result["contributing.md"] = contributing.replace("](doc/", "](")
    return result


# ---- options of commands


def command_pages() -> dict[str, str]:
    """A page for each command, by its name without ``.py``."""
    hybrid = [
        section(f"--model-module {path}", dynamic_import(config), [HybridOptions])
        for path, config in MODEL_OPTIONS.items()
    ]
    optimizers = [
        section(f"--opt {name}", config) for name, config in OPTIMIZERS.items()
    ]
    models = [
        section(f"--model-module {name}", model.options)
        for name, model in LANGUAGE_MODELS.items()
    ]
    sections: dict[str, list[str]] = {
        "asr_train": [
            section("Training", TrainOptions),
            section("Starting from other models", InitOptions),
            section("CTC and attention", HybridOptions),
            *hybrid,
            *scheduler_sections(),
        ],
        "asr_recog": [
            section("Model, data, machine", RecogOptions),
            section("Search", SearchOptions),
        ],
        "asr_align": [section("Options", AlignOptions)],
        "asr_stream": [section("Options", StreamOptions)],
        "lm_train": [
            section("Training", LMTrainOptions),
            *optimizers,
            *models,
            *scheduler_sections(),
        ],
    }
    return {name: command_page(name, parts) for name, parts in sections.items()}


def command_page(name: str, sections: Iterable[str]) -> str:
    """Title, what the command does, and its options."""
    purpose = importlib.import_module(f"espnet.bin.{name}").__doc__
    configs = ", ".join(f"`{flags[-1]}`" for flags, _ in CONFIG_FLAGS)
    return "\n\n".join(
        [
            f"# {name}.py",
            str(purpose).strip(),
            f"{configs} name YAML files with these options; [Options](../options.md) "
            "has the rules. Written from the code.",
            *sections,
            "",
        ]
    )


def section(title: str, config: type, known: Sequence[type] = ()) -> str:
    """The options of a dataclass, without those of ``known``."""
    actions = added(lambda parser: add_options(parser, config), known)
    doc = str(config.__doc__).strip().splitlines()[0]
    return f"## {title}\n\n{doc}\n\n{option_table(actions)}"


def scheduler_sections() -> list[str]:
    """The numbers of each scheduler of ``lr``, which stands for any field."""
    sections = []
    for name in SCHEDULERS:
        args = Namespace(schedulers=[f"lr={name}"])
        actions = added(lambda parser, args=args: add_scheduler_options(parser, args))
        if actions:
            sections.append(f"## --schedulers lr={name}\n\n{option_table(actions)}")
    return sections


def added(
    add: Callable[[OptionParser], None], known: Sequence[type] = ()
) -> list[argparse.Action]:
    """The options that ``add`` gives to a parser that has those of ``known``."""
    parser = OptionParser("docs", add_help=False)
    for config in known:
        add_options(parser, config)
    before = len(parser._actions)
    add(parser)
    return parser._actions[before:]


def option_table(actions: Iterable[argparse.Action]) -> str:
    """Markdown: flags, default, meaning."""
    rows = []
    for action in actions:
        flags = ", ".join(f"`{flag}`" for flag in action.option_strings)
        default = "required" if action.required else shown(action.default)
        words = escaped(str(action.help))
        if action.choices is not None:
            words += "; one of " + ", ".join(f"`{c}`" for c in action.choices)
        rows.append((flags, default, words))
    return table(("option", "default", "meaning"), rows)


def shown(default: object) -> str:
    """A default as a user would write it."""
    if default in (None, "", ()):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{','.join(map(str, default))}`"
    return f"`{default}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escaped(text: str) -> str:
    """Plain text in a cell of a Markdown table."""
    return re.sub(r"([|*_\[\]`])", r"\\\1", html.escape(text, quote=False))


# ---- recipes


def recipe_options(script: str) -> list[tuple[str, str, str]]:
    """Name, default and help of each option of a task script such as ``asr.sh``."""
    command = f"""
        . {script}
        while IFS=$'\\t' read -r name help; do
            printf '%s\\t%s\\t%s\\n' "${{name}}" "${{!name}}" "${{help}}"
        done < <(option_lines "${{option_files[@]}}")"""
    path = f"{ROOT / 'utils'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [(name, default, help) for name, default, help in rows]


def recipe_page(script: str) -> str:
    """Options that every ``run.sh`` of a task takes, and those of single recipes."""
    options = recipe_options(script)
    common = {name for name, _, _ in options}
    own = []
    for recipe in sorted((ROOT / "egs").glob("*/*/run.sh")):
        text = recipe.read_text(encoding="utf-8")
        if f". {script}" not in text:
            continue
        for name, value, help in OWN_OPTION.findall(text):
            if name not in common:
                where = f"`{recipe.parent.relative_to(ROOT)}`"
                own.append((where, *recipe_row(name, value.strip("\"' "), help)))
    return "\n\n".join(
        [
            f"# Options of recipes: {script}",
            "Every `run.sh` that sources this script takes them, perhaps with other "
            "defaults: `./run.sh --help` prints them. [A recipe, stage by "
            "stage](../recipe.md) tells what the stages do. Written from the code.",
            table(("option", "default", "meaning"), (recipe_row(*o) for o in options)),
            "## Options of single recipes",
            table(("recipe", "option", "default", "meaning"), own),
            "",
        ]
    )


def recipe_row(name: str, default: str, help: str) -> tuple[str, str, str]:
    """Cells of a table."""
    flag = f"`--{name.replace('_', '-')}`"
    return flag, f"`{default}`" if default else "", escaped(help)


def results_page() -> str:
    """The RESULTS.md of all recipes, one after the other."""
    parts = ["# Results of the recipes", "What stands in the recipes' `RESULTS.md`."]
    for path in sorted((ROOT / "egs").glob("*/*/RESULTS.md")):
        text = path.read_text(encoding="utf-8")
        body = re.sub(r"\A# .*\n", "", text)
        body = re.sub(r"^#", "##", body, flags=re.MULTILINE)
        body = re.sub(r"\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", body)  # to files there
        parts += [f"## {path.parent.relative_to(ROOT)}", body.strip()]
    return "\n\n".join([*parts, ""])


# ---- tools


def tools_page() -> str:
    """What each command of ``utils/`` is for."""
    folders = {
        "utils": "On the path of every recipe.",
        "utils/steps": "As `steps/NAME`.",
        "utils/data": "As `utils/data/NAME`.",
    }
    parts = [
        "# Tools",
        "The commands that recipes call, and that can be called by hand in a recipe's "
        "folder after `. ./path.sh`. Each prints its options with `--help`. "
        "Written from the code.",
    ]
    for folder, where in folders.items():
        rows = [
            (f"`{path.name}`", escaped(purpose(path)))
            for path in sorted((ROOT / folder).iterdir())
            if is_command(path)
        ]
        parts += [f"## {folder}", where, table(("command", "what it does"), rows)]
    return "\n\n".join([*parts, ""])


def is_command(path: Path) -> bool:
    """Whether a user may call it: the ``.py`` that a ``.sh`` starts is not meant."""
    return (
        path.is_file()
        and not path.is_symlink()
        and os.access(path, os.X_OK)
        and not (path.suffix == ".py" and path.with_suffix(".sh").exists())
    )


def purpose(path: Path) -> str:
    """The first sentence of its docstring, or of the comment at its top."""
    text = path.read_text(encoding="utf-8")
    if "python" in text.splitlines()[0]:
        words = ast.get_docstring(ast.parse(text)) or ""
        return words.split("\n\n")[0].replace("\n", " ")
    comment = re.findall(r"\A#!.*\n((?:# .*\n)+)", text)
    lines = [line[2:] for line in (comment[0] if comment else "").splitlines()]
    words = " ".join(line for line in lines if not line.startswith("shellcheck"))
    return re.sub(rf";? ?(Try|see|{re.escape(path.name)})? --help.*", "", words)
