"""Sound from log mel energies by a WaveNet that PytorchWaveNetVocoder has trained."""

from __future__ import annotations

import logging
import pickle
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet.nets.pytorch_backend.wavenet import WaveNet, decode_mu_law
from espnet.train.weights import read_weights
from espnet.utils import hdf5
from espnet.utils.errors import UserError

SPECTRUM = 1 << 14  # frequencies in which the filter of noise shaping is sampled
WANTED = "wanted is a checkpoint of PytorchWaveNetVocoder"


@dataclass(frozen=True)
class Shaping:
    """The mel-cepstral filter that gives the noise of quantisation the form of speech.

    Tachibana et al., "An investigation of noise shaping with perceptual weighting for
    WaveNet-based speech generation", ICASSP 2018.

    Attributes:
        coef: of the filter exp(sum of coef[m] times the m-th basis function), as the
            MLSA filter has it (M,).
        alpha: of the frequency warping.
    """

    coef: np.ndarray
    alpha: float

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Filter (T,)."""
        warped = np.append(self.coef, 0.0).astype(np.float64)
        cepstrum = warped[:-1] + self.alpha * warped[1:]
        omega = np.linspace(0.0, np.pi, SPECTRUM // 2 + 1)
        turned = omega + 2 * np.arctan2(
            self.alpha * np.sin(omega), 1 - self.alpha * np.cos(omega)
        )
        phases = np.exp(-1j * np.outer(turned, np.arange(len(cepstrum))))
        response = np.fft.irfft(np.exp(phases @ cepstrum))
        size = len(samples) + len(response) - 1
        product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
        return np.fft.irfft(product, size)[: len(samples)]


@dataclass(frozen=True)
class WaveNetVocoder:
    """A trained WaveNet with the statistics of its features.

    Attributes:
        model: in evaluation mode.
        shift: samples for each frame.
        mean, scale: of the features (D,).
        shaping: undoes the noise shaping of training; None: there was none.
    """

    model: WaveNet
    shift: int
    mean: np.ndarray
    scale: np.ndarray
    shaping: Shaping | None

    def __call__(self, features: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Sounds (T * shift,) in [-1, 1] of some log mel energies (T, D).

        They are generated together, which takes hardly longer than the longest alone.
        """
        shift = self.shift
        longest = max(map(len, features))
        hs = torch.zeros(len(features), len(self.mean), longest)
        for h, lmspc in zip(hs, features, strict=True):
            scaled = (lmspc - self.mean) / self.scale
            h[:, : len(lmspc)] = torch.from_numpy(scaled.T)
        begin = time.monotonic()
        levels = self.model.generate(hs, shift)
        spent = time.monotonic() - begin
        logging.info("%d samples in %.1f s", levels.numel(), spent)
        sounds = decode_mu_law(levels, self.model.n_quantize).numpy()
        cut = [y[: len(x) * shift] for y, x in zip(sounds, features, strict=True)]
        return [y if self.shaping is None else self.shaping(y) for y in cut]


def load_wavenet_vocoder(path: str | Path, shift: int) -> WaveNetVocoder:
    """Load a checkpoint, and beside it ``model.conf`` and ``stats.h5``.

    Args:
        path: the checkpoint.
        shift: samples for each frame.

    Raises:
        UserError: a file is missing, damaged or of another kind, or the model makes
            another number of samples from a frame.
    """
    path = Path(path)
    model = _build(read_weights(path, wanted=WANTED), path)
    factor = model.upsampling_factor
    if factor and factor != shift:
        raise UserError(
            f"{path}: makes {factor} samples from a frame, --n-shift is {shift}"
        )
    stats = path.parent / "stats.h5"
    with hdf5.reading(stats) as file:
        mean = hdf5.read_dataset(file, "/melspc/mean", stats)
        scale = hdf5.read_dataset(file, "/melspc/scale", stats)
        shaping = None
        if "/mlsa/coef" in file:
            coef = hdf5.read_dataset(file, "/mlsa/coef", stats)
            alpha = hdf5.read_dataset(file, "/mlsa/alpha", stats)
            shaping = Shaping(coef.reshape(-1), float(alpha))
    for name, vector in (("mean", mean), ("scale", scale)):
        if vector.shape != (model.n_aux,):
            raise UserError(
                f"{stats}: /melspc/{name} has shape {vector.shape}, "
                f"the model {path} has {model.n_aux} features"
            )
    return WaveNetVocoder(model.eval(), shift, mean, scale, shaping)


def _build(weights: dict[str, Tensor], path: Path) -> WaveNet:
    """The model of some weights; their shapes tell all sizes but the dilations."""
    try:
        layers = sum(name.startswith("res_1x1.") for name in weights) // 2
        residual, quantize, kernel = weights["causal.conv.weight"].shape
        upsampling = weights.get("upsampling.conv.weight")
        depth = _dilation_depth(path.parent / "model.conf", layers)
        model = WaveNet(
            n_quantize=quantize,
            n_aux=weights["aux_1x1_tanh.0.weight"].shape[1],
            n_resch=residual,
            n_skipch=weights["conv_post_1.weight"].shape[0],
            dilation_depth=depth,
            dilation_repeat=layers // depth,
            kernel_size=kernel,
            upsampling_factor=0 if upsampling is None else upsampling.shape[-1],
        )
        model.load_state_dict(weights)
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: is no WaveNet ({reason}); {WANTED}") from None
    return model


def _dilation_depth(path: Path, layers: int) -> int:
    """What ``model.conf``, a Namespace that torch.save wrote, says of the dilations."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; it stands beside the checkpoint")
    try:
        with torch.serialization.safe_globals([Namespace]):
            conf = torch.load(path, weights_only=True)
        depth = int(conf.dilation_depth)
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
        reason = str(error).splitlines()[0][:100]
        raise UserError(f"{path}: tells no dilation_depth ({reason})") from None
    if depth < 1 or layers % depth:
        raise UserError(
            f"{path}: dilation_depth {depth} does not divide {layers} layers"
        )
    return depth
