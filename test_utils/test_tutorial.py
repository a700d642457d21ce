"""The tutorial: its commands run as they stand, its configs and options exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from espnet.asr.recog_options import RecogOptions
from espnet.asr.train_options import MODEL_OPTIONS, parse_train_options
from espnet.nets.search_options import SearchOptions
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.options import parse_options, read_config

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "doc" / "tutorial.md"
GENERATED = ("data", "dump", "exp", "fbank", "downloads", "tensorboard")
RUN, LOOKED_UP, CONFIG = "sh", "bash", "yaml"


def blocks(tag: str) -> list[tuple[int, str]]:
    """Line and text of each fenced block with this tag, in order."""
    text = TUTORIAL.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        (text[: match.start()].count("\n") + 2, match[2])
        for match in found
        if match[1] == tag
    ]


def environment() -> dict[str, str]:
    """As a user's, with the Python that runs the tests first."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return {**kept, "PATH": path}


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    counts = [len(blocks(tag)) for tag in (RUN, LOOKED_UP, CONFIG)]
    assert all(counts)
    assert 2 * sum(counts) == len(re.findall("^```", text, re.MULTILINE))


@pytest.mark.slow  # a minute on two idle cores: some trainings of seconds
def test_the_commands_run(kits: Path, tmp_path: Path) -> None:
    for name in ("espnet", "utils"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("an4", "mini_an4"):  # which links to files of an4
        ignore = shutil.ignore_patterns(*GENERATED)
        source, target = ROOT / "egs" / name, tmp_path / "egs" / name
        shutil.copytree(source, target, symlinks=True, ignore=ignore)
    downloads = tmp_path / "egs" / "mini_an4" / "asr1" / "downloads"
    downloads.mkdir()  # in place of what stage -1 fetches
    (downloads / "mini_an4.tar.gz").symlink_to(kits / "mini_an4.tar.gz")
    script = "set -euo pipefail\n"
    for line, text in blocks(RUN):
        script += f"echo '@ {TUTORIAL.name}:{line}' | tee /dev/stderr\n{text}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-6000:]
    said = dict(re.findall(r"^@ .*?:(\d+)\n(.*?)(?=^@ |\Z)", done.stdout, re.M | re.S))
    by_words = {
        "./run.sh\n": r"decode_test_decode_nolm\|2\|10\|",
        "tail -n": "training is complete after 5 of 5 epochs",
        "count.sh": r"\A2\Z",
        "api=v2": r"decode_pure_ctc_apiv2_beam-size3_nolm\|2\|10\|",
        "decode_alsd": r"decode_test_decode_alsd_nolm\|2\|10\|",
        "grep minibatches": "3 utterances in 2 minibatches",
        "starts from": r"enc\.enc\.0 .*model\.loss\.best +frozen",
    }
    for words, expected in by_words.items():
        (line,) = [line for line, text in blocks(RUN) if words in text]
        assert re.search(expected, said[str(line)].strip()), said[str(line)]


def test_options_of_what_is_not_run_exist() -> None:
    done = subprocess.run(
        ["./run.sh", "--help"],
        cwd=ROOT / "egs" / "mini_an4" / "asr1",
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    there = set(re.findall(r"^  (--[\w-]+)", done.stdout, re.MULTILINE))
    for _, text in blocks(LOOKED_UP):
        for line in text.splitlines():
            command = line.split("#")[0]
            assert "./run.sh" in command
            used = re.findall(r"--[\w-]+", command)
            assert used and {*used} <= there


@pytest.mark.parametrize("line, text", blocks(CONFIG))
def test_configs_are_accepted(line: int, text: str, tmp_path: Path) -> None:
    config = tmp_path / f"line{line}.yaml"
    config.write_text(text, encoding="utf-8")
    files = ["--config", str(config)]
    if text.startswith("# training"):
        if "batch-count" not in text:
            files += ["--batch-size", "8"]
        args = parse_train_options([*files, "--outdir", "x", "--dict", "y"])
        read_config(dynamic_import(MODEL_OPTIONS[args.model_module]), args)
        return
    assert text.startswith("# decoding")
    required = ["--recog-json", "x", "--result-label", "y", "--model", "z"]
    parse_options(
        [RecogOptions, SearchOptions],
        [*files, *required],
        prog="asr_recog.py",
        config_files=True,
    )
