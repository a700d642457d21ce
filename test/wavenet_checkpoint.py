"""A tiny WaveNet in the files that PytorchWaveNetVocoder leaves."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

from espnet.nets.pytorch_backend.wavenet import WaveNet
from espnet.utils import hdf5

SIZES = {
    "n_quantize": 16,
    "n_aux": 3,
    "n_resch": 4,
    "n_skipch": 5,
    "dilation_depth": 2,
    "dilation_repeat": 2,
    "kernel_size": 2,
    "upsampling_factor": 4,
}


def write_checkpoint(folder: Path, shaping: bool = True, **sizes: int) -> Path:
    """``folder/checkpoint.pkl`` with its ``model.conf`` and ``stats.h5``."""
    folder.mkdir(exist_ok=True)
    conf = {**SIZES, **sizes}
    torch.manual_seed(1)
    model = WaveNet(**conf)
    torch.save(
        {"model": model.state_dict(), "iterations": 1}, folder / "checkpoint.pkl"
    )
    torch.save(Namespace(**conf), folder / "model.conf")
    with hdf5.writing(folder / "stats.h5") as file:
        file["/melspc/mean"] = np.arange(conf["n_aux"], dtype=np.float64)
        file["/melspc/scale"] = np.full(conf["n_aux"], 2.0)
        if shaping:
            file["/mlsa/coef"] = np.array([0.1, 0.3, -0.2])
            file["/mlsa/alpha"] = 0.4
    return folder / "checkpoint.pkl"
