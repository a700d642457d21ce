"""The vocoder: its filter against the filter's definition, files that are not right."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from espnet.utils import hdf5
from espnet.utils.errors import UserError

pytest.importorskip("h5py", reason="h5py is not installed")

from wavenet_checkpoint import SIZES, write_checkpoint

from espnet.tts.wavenet_vocoder import Shaping, load_wavenet_vocoder


@pytest.mark.parametrize("alpha", [0.0, 0.4, -0.2])
def test_shaping_is_the_mlsa_filter(alpha: float) -> None:
    coef = np.array([0.2, -0.3, 0.25, 0.1])
    samples = np.random.default_rng(0).normal(size=60)
    # H(z) = exp(sum b_m Phi_m(z)), Phi_0 = 1, and for m >= 1
    # Phi_m = (1 - a^2) / (z - a) * ((1 - a z) / (z - a)) ** (m - 1)
    z = np.exp(2j * np.pi * np.arange(4096) / 4096)
    exponent = coef[0] + sum(
        b * (1 - alpha**2) / (z - alpha) * ((1 - alpha * z) / (z - alpha)) ** m
        for m, b in enumerate(coef[1:])
    )
    response = np.fft.ifft(np.exp(exponent)).real
    wanted = np.convolve(samples, response)[: len(samples)]
    np.testing.assert_allclose(Shaping(coef, alpha)(samples), wanted, atol=1e-9)


def test_features_are_scaled_and_sounds_cut(tmp_path: Path) -> None:
    vocoder = load_wavenet_vocoder(write_checkpoint(tmp_path, shaping=False), 4)
    torch.manual_seed(0)
    feats = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    long, short = vocoder([feats, feats[:2]])
    assert (len(long), len(short)) == (20, 8)
    torch.manual_seed(0)
    hs = torch.zeros(2, 3, 5)
    hs[0] = torch.from_numpy((feats - [0, 1, 2]) / 2).T
    hs[1, :, :2] = hs[0, :, :2]
    levels = vocoder.model.generate(hs, 4).numpy()
    curve = (levels[0] - 0.5) / 15 * 2 - 1
    np.testing.assert_allclose(long, np.sign(curve) * (16 ** abs(curve) - 1) / 15, 1e-5)


def test_the_filter_follows(tmp_path: Path) -> None:
    feats = [np.zeros((6, 3), np.float32)]
    torch.manual_seed(0)
    raw = load_wavenet_vocoder(write_checkpoint(tmp_path / "a", shaping=False), 4)(
        feats
    )
    torch.manual_seed(0)
    made = load_wavenet_vocoder(write_checkpoint(tmp_path / "b"), 4)(feats)
    wanted = Shaping(np.array([0.1, 0.3, -0.2]), 0.4)(raw[0])
    np.testing.assert_allclose(made[0], wanted)


def other_stats(path: Path) -> None:
    with hdf5.writing(path.parent / "stats.h5") as file:
        file["/melspc/mean"] = file["/melspc/scale"] = np.zeros(2)


def no_depth(path: Path) -> None:
    torch.save(Namespace(n_aux=3), path.parent / "model.conf")


def wrong_depth(path: Path) -> None:
    torch.save(Namespace(**{**SIZES, "dilation_depth": 3}), path.parent / "model.conf")


@pytest.mark.parametrize(
    "damage, words",
    [
        (
            Path.unlink,
            "checkpoint.pkl: no such model file; wanted is a checkpoint of Py",
        ),
        (lambda p: p.with_name("stats.h5").unlink(), "stats.h5: .*[Nn]o such file"),
        (
            lambda p: p.with_name("model.conf").unlink(),
            "model.conf: no such file; it st",
        ),
        (
            lambda p: p.with_name("model.conf").write_text("x"),
            "tells no dilation_depth",
        ),
        (no_depth, "model.conf: tells no dilation_depth"),
        (wrong_depth, r"model.conf: dilation_depth 3 does not divide 4 layers"),
        (other_stats, r"stats.h5: /melspc/mean has shape \(2,\), .* has 3 features"),
        (
            lambda p: torch.save({"model": {"a": torch.zeros(1)}}, p),
            "checkpoint.pkl: is no WaveNet .*causal",
        ),
    ],
)
def test_files_that_are_not_right(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    path = write_checkpoint(tmp_path)
    damage(path)
    with pytest.raises(UserError, match=words):
        load_wavenet_vocoder(path, 4)


def test_another_shift(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path)
    with pytest.raises(UserError, match="makes 4 samples from a frame, --n-shift is 5"):
        load_wavenet_vocoder(path, 5)
    path = write_checkpoint(tmp_path, upsampling_factor=0)
    assert len(load_wavenet_vocoder(path, 5)([np.zeros((2, 3))])[0]) == 10
