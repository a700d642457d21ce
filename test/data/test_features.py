"""Features equal those of Kaldi's binaries (golden) and of kaldi-native-fbank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kaldi_native_fbank as knf
import numpy as np
import pytest

from espnet.data.features import add_deltas, fbank, mfcc, paste, pitch, raw_pitch
from espnet.data.kaldi_options import FbankOptions, MfccOptions, PitchOptions
from espnet.utils.errors import UserError

NOISE = np.random.default_rng(1).normal(scale=500, size=4000).astype(np.float32)

# key: (function of samples and sampling rate, tolerance of the README of the goldens)
GOLDEN: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], float]] = {
    "fbank80": (
        lambda x, r: fbank(x, FbankOptions(r, dither=0, num_mel_bins=80)),
        2e-3,
    ),
    "fbank40_energy": (
        lambda x, r: fbank(
            x, FbankOptions(r, dither=0, num_mel_bins=40, use_energy=True)
        ),
        2e-3,
    ),
    "mfcc13": (lambda x, r: mfcc(x, MfccOptions(r, dither=0)), 2e-3),
    "pitch_raw": (lambda x, r: raw_pitch(x, PitchOptions(r)), 1e-3),
    "pitch_processed": (
        lambda x, r: pitch(x, PitchOptions(r, delta_pitch_noise_stddev=0)),
        1e-3,
    ),
    "fbank80_delta": (
        lambda x, r: add_deltas(fbank(x, FbankOptions(r, dither=0, num_mel_bins=80))),
        2e-3,
    ),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_features_equal_kaldis_binaries(golden: Path, kind: str) -> None:
    files = sorted((golden / "kaldi_feats").glob("*.npz"))
    assert files
    compute, tolerance = GOLDEN[kind]
    for file in files:
        with np.load(file) as data:
            samples = data["samples"].astype(np.float32)
            ours = compute(samples, float(data["sample_rate"]))
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, data[kind], rtol=0, atol=tolerance)


def native(online: type, options: Any, samples: np.ndarray) -> np.ndarray:
    extractor = online(options)
    extractor.accept_waveform(options.frame_opts.samp_freq, samples.tolist())
    extractor.input_finished()
    frames = [extractor.get_frame(i) for i in range(extractor.num_frames_ready)]
    return np.stack(frames)


FRAME_NAMES = {
    "sample_frequency": "samp_freq",
    "frame_length": "frame_length_ms",
    "frame_shift": "frame_shift_ms",
    "preemphasis_coefficient": "preemph_coeff",
    "window_type": "window_type",
    "remove_dc_offset": "remove_dc_offset",
    "round_to_power_of_two": "round_to_power_of_two",
    "snip_edges": "snip_edges",
    "blackman_coeff": "blackman_coeff",
}
MEL_NAMES = {
    "num_mel_bins": "num_bins",
    "low_freq": "low_freq",
    "high_freq": "high_freq",
}


def native_options(kind: type, ours: Any) -> Any:
    options = kind()
    for name, value in vars(ours).items():
        if name in FRAME_NAMES:
            setattr(options.frame_opts, FRAME_NAMES[name], value)
        elif name in MEL_NAMES:
            setattr(options.mel_opts, MEL_NAMES[name], value)
        elif hasattr(options, name):
            setattr(options, name, value)
    options.frame_opts.dither = 0
    return options


VARIANTS: list[dict[str, Any]] = [
    {"window_type": kind}
    for kind in ("hamming", "hanning", "povey", "rectangular", "sine", "blackman")
] + [
    {"snip_edges": False},
    {"snip_edges": False, "frame_length": 40.0, "frame_shift": 7.0},
    {"frame_length": 20.0, "frame_shift": 5.0, "round_to_power_of_two": False},
    {"preemphasis_coefficient": 0.0, "remove_dc_offset": False},
    {"low_freq": 100.0, "high_freq": -500.0, "num_mel_bins": 30},
    {"high_freq": 3000.0, "sample_frequency": 8000.0},
    {"use_energy": True},
    {"use_energy": True, "raw_energy": False},
    {"use_energy": True, "htk_compat": True},
    {"use_energy": True, "energy_floor": 1e9},
    {"use_energy": False, "htk_compat": True},
]


@pytest.mark.parametrize(
    "change", [*VARIANTS, {"use_power": False}, {"use_log_fbank": False}], ids=str
)
def test_fbank_options_mean_what_they_mean_elsewhere(change: dict[str, Any]) -> None:
    options = FbankOptions(dither=0, **change)
    reference = native(
        knf.OnlineFbank, native_options(knf.FbankOptions, options), NOISE
    )
    np.testing.assert_allclose(fbank(NOISE, options), reference, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "change", [*VARIANTS, {"cepstral_lifter": 0.0}, {"num_ceps": 20}], ids=str
)
def test_mfcc_options_mean_what_they_mean_elsewhere(change: dict[str, Any]) -> None:
    options = MfccOptions(dither=0, **change)
    reference = native(knf.OnlineMfcc, native_options(knf.MfccOptions, options), NOISE)
    np.testing.assert_allclose(mfcc(NOISE, options), reference, rtol=1e-4, atol=2e-3)


def test_dither_is_noise_of_its_size_and_the_same_for_a_seed() -> None:
    silence = np.zeros(16000, dtype=np.float32)
    options = FbankOptions(dither=2.0, remove_dc_offset=False, use_energy=True)
    one = fbank(silence, options, seed=7)
    np.testing.assert_array_equal(one, fbank(silence, options, seed=7))
    assert not np.array_equal(one, fbank(silence, options, seed=8))
    power = np.exp(one[:, 0]).mean() / 400  # energy of a frame of 400 samples
    assert power == pytest.approx(2.0**2, rel=0.05)


def test_subtract_mean_centres_each_utterance() -> None:
    feats = fbank(NOISE, FbankOptions(subtract_mean=True))
    np.testing.assert_allclose(feats.mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize("order, window", [(1, 1), (2, 2), (3, 2), (2, 4)])
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_deltas_equal_kaldi_native_fbank(order: int, window: int, frames: int) -> None:
    feats = np.random.default_rng(frames).normal(size=(frames, 4)).astype(np.float32)
    reference = knf.compute_deltas(knf.DeltaOptions(order=order, window=window), feats)
    ours = add_deltas(feats, order, window)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, reference, atol=1e-5)


def test_pitch_outputs_are_the_chosen_columns_and_repeatable() -> None:
    options = PitchOptions(add_raw_log_pitch=True)
    first = pitch(NOISE, options)
    assert first.shape[1] == 4
    np.testing.assert_array_equal(first, pitch(NOISE, options))  # its noise is fixed
    assert pitch(NOISE, PitchOptions(add_pov_feature=False)).shape[1] == 2


def test_a_tone_has_its_pitch() -> None:
    time = np.arange(16000) / 16000
    tone = 3000 * sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 6))
    hertz = raw_pitch(tone.astype(np.float32), PitchOptions())[10:-10, 1]
    np.testing.assert_allclose(hertz, 150, rtol=0.01)


def test_paste_cuts_to_the_shortest_within_the_tolerance() -> None:
    long, short = np.zeros((10, 2)), np.ones((8, 3))
    assert paste([long, short], 2).shape == (8, 5)
    with pytest.raises(UserError, match=r"\[10, 8\] frames .*tolerance of 1"):
        paste([long, short], 1)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: fbank(x, FbankOptions()),
        lambda x: mfcc(x, MfccOptions()),
        lambda x: pitch(x, PitchOptions()),
    ],
)
def test_an_utterance_shorter_than_a_frame_is_refused(compute: Callable) -> None:
    with pytest.raises(UserError, match=r"has 399 samples, fewer than one frame of 25"):
        compute(NOISE[:399])
    assert len(compute(NOISE[:400])) == 1


def test_filters_that_hold_no_frequency_are_refused() -> None:
    with pytest.raises(UserError, match=r"--num-mel-bins=200 is too many for .*8000"):
        fbank(NOISE, FbankOptions(8000.0, num_mel_bins=200))
