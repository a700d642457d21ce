"""Kaldi's speech features: filter banks, MFCC, pitch, deltas; equal to its binaries'.

Samples come as (N,) float32 at the scale of 16-bit integers, features leave as (T, D)
float32. A dither seed makes the noise of an utterance the same in every run.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from espnet.data.kaldi_options import (
    FbankOptions,
    MelOptions,
    MfccOptions,
    PitchOptions,
)
from espnet.utils.errors import UserError

EPSILON = np.float32(np.finfo(np.float32).eps)  # Kaldi's floor under a logarithm
Seed = int | np.random.Generator  # a generator goes on where it is
BLOCK = 512  # frames computed at once: they stay in the processor's cache
_POV_EXPONENT = 0.15  # NCCF -> POV feature of Ghahremani et al., ICASSP 2014


def fbank(samples: np.ndarray, options: FbankOptions, seed: Seed = 0) -> np.ndarray:
    """Log mel filter bank energies (T, num_mel_bins), one more with ``use_energy``.

    Raises:
        UserError: the utterance is shorter than a frame.
    """
    energy_first = options.use_energy and not options.htk_compat

    def finish(mel: np.ndarray, energy: np.ndarray) -> np.ndarray:
        if options.use_log_fbank:
            mel = np.log(np.maximum(mel, EPSILON))
        if not options.use_energy:
            return mel
        return np.hstack([energy, mel] if energy_first else [mel, energy])

    blocks = _mel_blocks(samples, options, seed, options.use_power)
    return _finish([finish(*block) for block in blocks], options)


def mfcc(samples: np.ndarray, options: MfccOptions, seed: Seed = 0) -> np.ndarray:
    """Mel frequency cepstra (T, num_ceps); C0 is the log energy with ``use_energy``.

    Raises:
        UserError: the utterance is shorter than a frame.
    """
    transform = _cepstral_transform(
        options.num_ceps, options.num_mel_bins, options.cepstral_lifter
    )

    def finish(mel: np.ndarray, energy: np.ndarray) -> np.ndarray:
        cepstra = np.log(np.maximum(mel, EPSILON)) @ transform
        if options.use_energy:
            cepstra[:, :1] = energy
        if options.htk_compat:
            first = cepstra[:, :1] * (1.0 if options.use_energy else np.sqrt(2.0))
            cepstra = np.hstack([cepstra[:, 1:], first])
        return cepstra

    blocks = _mel_blocks(samples, options, seed, use_power=True)
    return _finish([finish(*block) for block in blocks], options)


def pitch(samples: np.ndarray, options: PitchOptions) -> np.ndarray:
    """Processed pitch (T, 3): probability of voicing, normalised log pitch, its delta.

    The columns are those that the ``add_*`` options choose.

    Raises:
        UserError: the utterance is shorter than a frame.
    """
    import kaldi_native_fbank as knf

    extraction, processing = knf.PitchExtractionOptions(), knf.ProcessPitchOptions()
    names = {"sample_frequency": "samp_freq", "frame_length": "frame_length_ms"}
    names |= {"frame_shift": "frame_shift_ms", "resample_frequency": "resample_freq"}
    names |= {"preemphasis_coefficient": "preemph_coeff"}
    for name, value in vars(options).items():
        name = names.get(name, name)
        for target in (extraction, processing):
            if hasattr(target, name):
                setattr(target, name, value)
    _require_frames(samples, options)
    feats = knf.compute_and_process_kaldi_pitch(extraction, processing, samples)
    if len(feats) == 0:
        raise UserError(f"has {len(samples)} samples, too few to find a pitch")
    return np.asarray(feats, dtype=np.float32)


def raw_pitch(samples: np.ndarray, options: PitchOptions) -> np.ndarray:
    """Pitch as compute-kaldi-pitch-feats gives it (T, 2): NCCF, and pitch in Hz."""
    chosen = dict(
        vars(options),
        add_pov_feature=True,
        add_raw_log_pitch=True,
        add_normalized_log_pitch=False,
        add_delta_pitch=False,
        pov_scale=1.0,
        pov_offset=0.0,
    )
    pov, log_pitch = pitch(samples, PitchOptions(**chosen)).astype(np.float64).T
    nccf = 1.0001 - (pov + 1.0) ** (1.0 / _POV_EXPONENT)
    return np.stack([nccf, np.exp(log_pitch)], axis=1).astype(np.float32)


def add_deltas(feats: np.ndarray, order: int = 2, window: int = 2) -> np.ndarray:
    """Append regression deltas of orders 1..order: (T, D) -> (T, D * (order + 1)).

    Frames beyond the ends repeat the first and the last frame.
    """
    slope = np.arange(-window, window + 1, dtype=np.float64)
    slope /= np.square(slope).sum()
    kernel, blocks = np.ones(1), [feats]
    for _ in range(order):
        kernel = np.convolve(kernel, slope)
        reach = len(kernel) // 2
        padded = np.pad(feats, ((reach, reach), (0, 0)), mode="edge")
        blocks.append(
            sum(
                np.float32(weight) * padded[shift : shift + len(feats)]
                for shift, weight in enumerate(kernel)
                if weight
            )
        )
    return np.hstack(blocks)


def paste(parts: list[np.ndarray], tolerance: int) -> np.ndarray:
    """Join feature matrices side by side, cut to the shortest.

    Raises:
        UserError: their lengths differ by more than ``tolerance`` frames.
    """
    lengths = [len(part) for part in parts]
    if max(lengths) - min(lengths) > tolerance:
        raise UserError(
            f"features of {lengths} frames differ by more than the "
            f"--paste-length-tolerance of {tolerance}"
        )
    return np.hstack([part[: min(lengths)] for part in parts])


def _mel_blocks(
    samples: np.ndarray, options: MelOptions, seed: Seed, use_power: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mel energies (t, bins) and log energies (t, 1), by blocks of frames."""
    frames = _frames(np.asarray(samples, dtype=np.float32), options)
    window = _window(frames.shape[1], options.window_type, options.blackman_coeff)
    size = _fft_size(frames.shape[1], options.round_to_power_of_two)
    banks = mel_banks(
        options.num_mel_bins,
        size,
        options.sample_frequency,
        options.low_freq,
        options.high_freq,
    )
    noise = np.random.default_rng(seed)
    blocks = []
    for start in range(0, len(frames), BLOCK):
        block = frames[start : start + BLOCK].copy()
        if options.dither:
            block += options.dither * noise.standard_normal(block.shape, np.float32)
        if options.remove_dc_offset:
            block -= block.mean(axis=1, keepdims=True)
        energy = _log_energy(block, options.energy_floor)
        if options.preemphasis_coefficient:
            shifted = np.hstack([block[:, :1], block[:, :-1]])
            block -= np.float32(options.preemphasis_coefficient) * shifted
        block *= window
        if not options.raw_energy:
            energy = _log_energy(block, options.energy_floor)
        spectrum = np.fft.rfft(block, size)[:, :-1]
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        power = power.astype(np.float32, copy=False)
        blocks.append(((power if use_power else np.sqrt(power)) @ banks, energy))
    return blocks


def _finish(blocks: list[np.ndarray], options: MelOptions) -> np.ndarray:
    feats = np.concatenate(blocks)
    if options.subtract_mean:
        feats -= feats.mean(axis=0)
    return feats


def _log_energy(frames: np.ndarray, floor: float) -> np.ndarray:
    energy = np.einsum("tn,tn->t", frames, frames)[:, None]
    return np.log(np.maximum(energy, max(floor, EPSILON))).astype(np.float32)


def _frame_sizes(options: MelOptions | PitchOptions) -> tuple[int, int]:
    """Length and shift of a frame in samples."""
    per_ms = options.sample_frequency * 0.001
    return int(per_ms * options.frame_length), int(per_ms * options.frame_shift)


def _require_frames(samples: np.ndarray, options: MelOptions | PitchOptions) -> None:
    length, shift = _frame_sizes(options)
    needed = length if options.snip_edges else max(1, (shift + 1) // 2)
    if len(samples) < needed:
        raise UserError(
            f"has {len(samples)} samples, fewer than one frame of "
            f"{options.frame_length:g} ms ({needed}); remove it"
        )


def _frames(samples: np.ndarray, options: MelOptions) -> np.ndarray:
    """Overlapping frames (T, N), a read-only view of the samples."""
    _require_frames(samples, options)
    length, shift = _frame_sizes(options)
    if not options.snip_edges:  # frame t is centred at (t + 1/2) shift; edges reflect
        total = (len(samples) + shift // 2) // shift
        first = shift // 2 - length // 2
        places = np.arange(first, first + (total - 1) * shift + length)
        period = 2 * len(samples)
        places = np.mod(places, period)
        samples = samples[np.minimum(places, period - 1 - places)]
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::shift]


def _fft_size(length: int, power_of_two: bool) -> int:
    if power_of_two:
        return 1 << (length - 1).bit_length()
    if length % 2:
        raise UserError(
            f"a frame of {length} samples needs --round-to-power-of-two=true, "
            "or a --frame-length of an even number of samples"
        )
    return length


@lru_cache(maxsize=4)
def _window(length: int, kind: str, blackman: float) -> np.ndarray:
    angle = 2.0 * np.pi * np.arange(length) / (length - 1)
    hanning = 0.5 - 0.5 * np.cos(angle)
    shapes = {
        "hanning": hanning,
        "povey": hanning**0.85,
        "hamming": 0.54 - 0.46 * np.cos(angle),
        "sine": np.sin(0.5 * angle),
        "rectangular": np.ones(length),
        "blackman": blackman
        - 0.5 * np.cos(angle)
        + (0.5 - blackman) * np.cos(2.0 * angle),
    }
    return shapes[kind].astype(np.float32)


@lru_cache(maxsize=4)
def mel_banks(
    bins: int, fft_size: int, rate: float, low: float, high: float
) -> np.ndarray:
    """Kaldi's triangular filters (fft_size / 2, bins), equally wide in mel.

    Raises:
        UserError: a filter lies between two FFT bins, so it would always be 0.
    """
    high = high if high > 0 else rate / 2 + high
    edges = np.linspace(_mel(low), _mel(high), bins + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    mel = _mel(rate / fft_size * np.arange(fft_size // 2))[:, None]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    banks = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    empty = np.flatnonzero(~banks.any(axis=0))
    if len(empty):
        raise UserError(
            f"--num-mel-bins={bins} is too many for --sample-frequency={rate:g}: "
            f"{len(empty)} filters hold no frequency of the FFT; use fewer"
        )
    return banks


def _mel(frequency: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(frequency, dtype=np.float64) / 700.0)


@lru_cache(maxsize=4)
def _cepstral_transform(ceps: int, bins: int, lifter: float) -> np.ndarray:
    """DCT-II and liftering in one matrix (bins, ceps)."""
    order = np.arange(ceps)
    angles = np.pi / bins * (np.arange(bins)[:, None] + 0.5) * order
    scale = np.where(order == 0, np.sqrt(1.0 / bins), np.sqrt(2.0 / bins))
    if lifter:
        scale = scale * (1.0 + 0.5 * lifter * np.sin(np.pi * order / lifter))
    return (np.cos(angles) * scale).astype(np.float32)
