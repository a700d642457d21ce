"""A run.sh of ESPnet1's kind, dropped into ``egs/<corpus>/asr1``, runs to the table."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
WORDS = ("YES", "NO", "<NOISE>", "MAYBE")
RATE = 8000


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """``egs/mine/asr1`` with the user's files; the rest is this toolkit."""
    folder = tmp_path / "egs/mine/asr1"
    shutil.copytree(ROOT / "test_utils/classic", folder)
    for name in ("utils", "espnet"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("utils", "steps"):
        (folder / name).symlink_to(os.readlink(ROOT / "egs/yesno/asr1" / name))
    for name in ("path.sh", "cmd.sh"):
        shutil.copy(ROOT / "egs/yesno/asr1" / name, folder)
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 2)):
        data = folder / "downloads" / split
        data.mkdir(parents=True)
        tables: dict[str, list[str]] = {"text": [], "wav.scp": [], "utt2spk": []}
        for n in range(count):
            utt, speaker = f"s{n % 2}-{split}{n}", f"s{n % 2}"
            wav = data.relative_to(folder) / f"{utt}.wav"
            samples = rng.normal(0, 0.1, RATE + 400 * n)
            soundfile.write(folder / wav, samples, RATE)
            words = " ".join(rng.choice(WORDS, 2 + n % 3))
            tables["text"].append(f"{utt} {words} {WORDS[n % 4]}")
            tables["wav.scp"].append(f"{utt} cat {wav} |")
            tables["utt2spk"].append(f"{utt} {speaker}")
        for name, lines in tables.items():
            (data / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def run(recipe: Path, *options: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        ["./run.sh", *options],
        cwd=recipe,
        env={**kept, "PATH": path},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_classic_recipe_runs_to_the_table(recipe: Path) -> None:
    done = run(recipe, "--stop-stage", "5")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Finished" in done.stdout
    data = json.loads((recipe / "dump/train_nodev/deltafalse/data.json").read_text())
    assert len(data["utts"]) == 18  # 6 utterances at three speeds
    exp = recipe / "exp/train_nodev_pytorch_train_specaug"
    assert (exp / "results/model.val2.avg.best").is_file()
    assert (recipe / "exp/train_rnnlm_pytorch_lm_word20/rnnlm.model.best").exists()
    for rtask in ("train_dev", "test"):
        folder = exp / f"decode_{rtask}_decode_lm_word20"
        assert "Sum/Avg" in (folder / "result.wrd.txt").read_text()
    shown = subprocess.run(
        [ROOT / "utils/show_result.sh", "exp"],
        cwd=recipe, capture_output=True, text=True,
    )  # fmt: skip
    assert "decode_test_decode_lm_word20" in shown.stdout

    done = run(recipe, "--stage", "3", "--use-wordlm", "false", "--ngpu", "0")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (exp / "decode_test_decode_lm/result.txt").is_file()
    done = run(recipe, "--stag", "3")
    assert done.returncode != 0 and "--stag" in done.stderr
