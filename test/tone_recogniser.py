"""A recogniser of whistled letters that is right by construction, and its whistling.

Each letter is a tone in the middle of a mel filter; CTC's layer compares the energies
of those filters with a threshold, which is blank.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet.asr.bundle import make_front_end, read_bundle
from espnet.data.ark import open_ark_writer, write_global
from espnet.nets.asr_interface import ASRInterface
from espnet.nets.beam_search import Scorer
from espnet.nets.ctc_prefix_score import CTCPrefixScorer
from espnet.utils.options import option, read_config

RATE = 8000
BINS = 8
TOKENS = ["<blank>", "<unk>", "<space>", "a", "b", "c", "<eos>"]
FILTERS = {"<space>": 1, "a": 3, "b": 5, "c": 7}
SECONDS, PAUSE = 0.2, 0.1  # of a tone and after it
FBANK = f"--sample-frequency={RATE}\n--num-mel-bins={BINS}\n--dither=0\n"


@dataclass(frozen=True)
class ToneOptions:
    step: int = option(2, "every so many frames")


class E2E(ASRInterface):
    Config = ToneOptions

    def __init__(self, idim: int, odim: int, args: Namespace) -> None:
        super().__init__()
        self.step = read_config(ToneOptions, args).step
        self.eos = odim - 1
        self.ctc_lo = torch.nn.Linear(idim, odim)

    def forward(self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor) -> Tensor:
        raise AssertionError("it is not trained")

    def encode_batch(self, xs_pad: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        return xs_pad[:, :: self.step], (ilens + self.step - 1) // self.step

    def log_softmax(self, hs: Tensor) -> Tensor:
        return self.ctc_lo(hs).log_softmax(-1)

    def scorers(self) -> Mapping[str, Scorer]:
        return {"ctc": CTCPrefixScorer(self, self.eos)}

    def get_total_subsampling_factor(self) -> int:
        return self.step


def frequency(token: str) -> float:
    """The middle of the mel filter of a token, in Hz."""
    low, high = (1127.0 * np.log1p(f / 700.0) for f in (20.0, RATE / 2))
    mel = low + (high - low) * (FILTERS[token] + 1) / (BINS + 1)
    return float(700.0 * np.expm1(mel / 1127.0))


def whistle(text: str, rate: int = RATE) -> np.ndarray:
    """Letters and blanks as samples (N,) between -1 and 1."""
    time = np.arange(round(SECONDS * rate)) / rate
    silence = np.zeros(round(PAUSE * rate))
    parts = [silence]
    for letter in text:
        token = "<space>" if letter == " " else letter
        parts += [0.3 * np.sin(2 * np.pi * frequency(token) * time), silence]
    return np.concatenate(parts)


def start_of(place: int) -> float:
    """When the letter at a place of a text begins, in seconds."""
    return PAUSE + place * (SECONDS + PAUSE)


def write_recogniser(folder: Path, **keys: object) -> Path:
    """An experiment's folder as a recipe leaves it; ``keys`` go to recogniser.yaml."""
    model = E2E(BINS, len(TOKENS), Namespace())
    with torch.no_grad():
        model.ctc_lo.weight.zero_()
        model.ctc_lo.bias.fill_(-20.0)
        model.ctc_lo.bias[0] = 15.0
        for token, place in FILTERS.items():
            model.ctc_lo.weight[TOKENS.index(token), place] = 1.0
            model.ctc_lo.bias[TOKENS.index(token)] = 0.0
    results, beside = folder / "results", folder / "recogniser"
    results.mkdir(parents=True)
    beside.mkdir()
    torch.save(model.state_dict(), results / "model.acc.best")
    options = {"model_module": "tone_recogniser:E2E", "char_list": TOKENS}
    content = [BINS, len(TOKENS), options]
    (results / "model.json").write_text(json.dumps(content))
    (beside / "fbank.conf").write_text(FBANK)
    (beside / "decode.yaml").write_text("api: v2\nbeam-size: 3\nctc-weight: 1.0\n")
    stats = np.array([[0.0] * BINS + [1.0], [1.0] * BINS + [0.0]])
    write_global(str(beside / "cmvn.ark"), stats)
    known = {
        "model": "../results/model.acc.best",
        "feats": "fbank",
        "fbank_config": "fbank.conf",
        "cmvn": "cmvn.ark",
        "decode_config": "decode.yaml",
        **keys,
    }
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in known.items()]
    (beside / "recogniser.yaml").write_text("".join(lines))
    return folder


def write_data(folder: Path, texts: dict[str, str]) -> Path:
    """A recogniser, and features and data.json of whistled texts."""
    exp = write_recogniser(folder / "exp")
    front_end = make_front_end(read_bundle(exp / "recogniser" / "recogniser.yaml"))
    utts: dict[str, Any] = {}
    with open_ark_writer(folder / "feats.ark", folder / "feats.scp") as writer:
        for name, text in texts.items():
            x = front_end((whistle(text) * 32768).astype(np.float32))
            writer.write(name, x)
            source = {"feat": "", "name": "input1", "shape": [len(x), BINS]}
            utts[name] = {"input": [source], "output": []}
    for line in (folder / "feats.scp").read_text().splitlines():
        name, place = line.split()
        utts[name]["input"][0]["feat"] = place
    (folder / "data.json").write_text(json.dumps({"utts": utts}))
    return exp / "results" / "model.acc.best"


def ctm(path: Path) -> list[tuple[str, float, float, str, float]]:
    """Recording, start, seconds, word and confidence of each line."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(w[0], float(w[2]), float(w[3]), w[4], float(w[5])) for w in lines]
