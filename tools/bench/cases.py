"""What is measured; each case gives pieces of work to be timed side by side."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.bench.batches import batches
from tools.bench.decoding import lm_steps, real_time, token_curve
from tools.bench.models import MODELS
from tools.bench.search import ctc_steps, decoder_steps, search
from tools.bench.timing import Work
from tools.bench.training import training
from tools.bench.transducer import LARGE, SMALL, greedy, loss_alone, with_joint

ROOT = Path(__file__).resolve().parents[2]


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
    **{f"train_{name}": partial(training, name) for name in MODELS},
    **{f"search_{name}": partial(search, name) for name in MODELS},
    **{f"real_time_{name}": partial(real_time, name) for name in MODELS},
    "token_curve": token_curve,
    "decoder_steps": decoder_steps,
    "lm_steps": lm_steps,
    "ctc_steps": ctc_steps,
    "transducer_loss": partial(loss_alone, *SMALL),
    "transducer_loss_large": partial(loss_alone, *LARGE),
    "transducer_joint": partial(with_joint, *SMALL),
    "transducer_joint_large": partial(with_joint, *LARGE),
    "transducer_greedy_rnn": partial(greedy, "train_rnnt"),
    "transducer_greedy_conformer": partial(greedy, "train_conformer_rnnt"),
    "features": features,
    "batches": batches,
    "help": help_texts,
}
