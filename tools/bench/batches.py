"""Cutting a large corpus into minibatches."""

from __future__ import annotations

import random
from typing import Any

from espnet.data.batch_summary import summarise
from espnet.utils.batchfy import make_batchset
from tools.bench.timing import Work

UTTERANCES = 1_000_000


def batches() -> dict[str, Work]:
    """Each way of counting, on entries as data.json has them."""
    data = _corpus(UTTERANCES)
    return {
        "seq": lambda: make_batchset(data, 32, 800, 150),
        "bin": lambda: make_batchset(data, batch_bins=4_000_000),
        "frame": lambda: make_batchset(data, batch_frames_in=40_000),
        "summary": lambda: str(summarise(make_batchset(data, 32, 800, 150))),
    }


def _corpus(count: int) -> dict[str, dict[str, Any]]:
    """Utterances of 1 to 16 s with up to 60 tokens."""
    numbers = random.Random(0)
    utts = {}
    for i in range(count):
        frames, labels = numbers.randint(100, 1600), numbers.randint(5, 60)
        utts[f"spk{i % 1000:04}-utt{i:07}"] = {
            "input": [
                {
                    "feat": f"dump/train/deltafalse/feats.{i % 32}.ark:{i * 40000}",
                    "name": "input1",
                    "shape": [frames, 83],
                }
            ],
            "output": [
                {
                    "name": "target1",
                    "shape": [labels, 502],
                    "text": "four" * labels,
                    "token": "_four" * labels,
                    "tokenid": "123 " * labels,
                }
            ],
            "utt2spk": f"spk{i % 1000:04}",
        }
    return utts
