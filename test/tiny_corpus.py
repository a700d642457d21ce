"""A few utterances of random numbers in the files that training reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from espnet.data.ark import open_ark_writer

TOKENS = ["<unk>", "a", "b", "c"]
IDIM = 4
ODIM = len(TOKENS) + 2


def write_corpus(folder: Path, count: int = 10, seed: int = 0) -> dict[str, Path]:
    """Write features, units and data.json; returns ``dict``, ``train``, ``valid``."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    utts: dict[str, dict[str, Any]] = {}
    features = {}
    for i in range(count):
        length = int(random.integers(12, 30))
        ids = [int(n) for n in random.integers(1, ODIM - 1, random.integers(1, 6))]
        features[f"utt{i:02}"] = random.normal(size=(length, IDIM)).astype(np.float32)
        utts[f"utt{i:02}"] = {
            "input": [{"feat": "", "name": "input1", "shape": [length, IDIM]}],
            "output": [
                {
                    "name": "target1",
                    "shape": [len(ids), ODIM],
                    "text": "",
                    "token": " ".join(TOKENS[n - 1] for n in ids),
                    "tokenid": " ".join(map(str, ids)),
                }
            ],
            "utt2spk": "spk",
        }
    with open_ark_writer(folder / "feats.ark", folder / "feats.scp") as writer:
        for utt, x in features.items():
            writer.write(utt, x)
    for line in (folder / "feats.scp").read_text().splitlines():
        utt, place = line.split()
        utts[utt]["input"][0]["feat"] = place
    files = {name: folder / f"{name}.json" for name in ("train", "valid")}
    names = list(utts)
    for name, chosen in (("train", names), ("valid", names[: max(3, count // 3)])):
        files[name].write_text(json.dumps({"utts": {n: utts[n] for n in chosen}}))
    files["dict"] = folder / "units.txt"
    files["dict"].write_text("".join(f"{t} {i}\n" for i, t in enumerate(TOKENS, 1)))
    return files


def train_argv(files: dict[str, Path], outdir: Path, *more: object) -> list[str]:
    """Arguments of ``asr_train.py`` for the tiny recogniser on the tiny corpus."""
    return [
        *("--dict", str(files["dict"]), "--outdir", str(outdir)),
        *("--train-json", str(files["train"]), "--valid-json", str(files["valid"])),
        *("--model-module", "tiny_recogniser:E2E", "--ngpu", "0", "--batch-size", "2"),
        *("--num-save-attention", "0", "--num-save-ctc", "0"),
        *map(str, more),
    ]
