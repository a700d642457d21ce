"""What is measured; each case gives pieces of work to be timed side by side."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tools.bench.timing import Work

if TYPE_CHECKING:  # torch is imported by the cases that need it
    from espnet.nets.pytorch_backend.e2e_asr import E2E

ROOT = Path(__file__).resolve().parents[2]
DIMS, VOCABULARY = 83, 500
RNN = {
    "etype": "vggblstmp",
    "elayers": 4,
    "eunits": 320,
    "eprojs": 320,
    "dunits": 300,
    "atype": "location",
    "aconv_chans": 10,
    "aconv_filts": 100,
    "mtlalpha": 0.5,
}


def build_rnn() -> E2E:
    """The RNN hybrid of 4 x 320 vggblstmp with a 300-unit decoder."""
    import torch

    from espnet.nets.pytorch_backend.e2e_asr import E2E

    torch.manual_seed(0)
    return E2E(DIMS, VOCABULARY, Namespace(**RNN))


def train_step() -> dict[str, Work]:
    """One update of the RNN hybrid: B=4, T=400, 83 dimensions, L=30."""
    import torch

    model = build_rnn()
    optimizer = torch.optim.Adadelta(model.parameters())
    xs = torch.randn(4, 400, DIMS)
    lengths = torch.tensor([400, 390, 380, 360])
    ys = torch.randint(1, VOCABULARY - 1, (4, 30))

    def forward() -> object:
        with torch.no_grad():
            return model.encode_batch(xs, lengths)

    def step() -> None:
        optimizer.zero_grad()
        model(xs, lengths, ys).backward()
        optimizer.step()

    return {"encoder_forward": forward, "update": step}


def search() -> dict[str, Work]:
    """Beam 10, ctc-weight 0.3, on 400-frame utterances: one, and eight together."""
    import torch

    from espnet.nets.decode import make_search
    from espnet.nets.search_options import SearchOptions

    model = build_rnn().eval()
    options = SearchOptions(beam_size=10, ctc_weight=0.3, maxlenratio=0.3)
    find = make_search(model.scorers(), VOCABULARY, options)

    def decode(batch: int) -> Work:
        xs = torch.randn(batch, 400, DIMS, generator=torch.Generator().manual_seed(1))
        lengths = torch.full((batch,), 400)

        @torch.no_grad()
        def work() -> object:
            return find(*model.encode_batch(xs, lengths))

        return work

    return {"one_utterance": decode(1), "eight_together": decode(8)}


def features() -> dict[str, Work]:
    """Filter banks and pitch of 60 s of noise at 16 kHz."""
    import numpy as np

    from espnet.data.features import fbank, pitch
    from espnet.data.kaldi_options import FbankOptions, PitchOptions

    noise = np.random.default_rng(0).normal(scale=1000, size=60 * 16000)
    samples = noise.astype(np.float32)
    filters = FbankOptions(num_mel_bins=80, dither=0.0)
    return {
        "fbank80": lambda: fbank(samples, filters),
        "pitch": lambda: pitch(samples, PitchOptions()),
    }


def help_texts() -> dict[str, Work]:
    """``--help`` of the commands, as processes."""

    def show(name: str) -> Work:
        command = [sys.executable, str(ROOT / "espnet" / "bin" / name), "--help"]
        environment = {"PYTHONPATH": str(ROOT)}
        return lambda: subprocess.run(
            command, check=True, capture_output=True, env=environment
        )

    return {name: show(name) for name in ("asr_train.py", "asr_recog.py")}


CASES: dict[str, Callable[[], dict[str, Work]]] = {
    "train_step": train_step,
    "search": search,
    "features": features,
    "help": help_texts,
}
