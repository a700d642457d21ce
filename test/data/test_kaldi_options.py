"""Kaldi's option files: every option is read, a mistake is named with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from espnet.data.kaldi_options import (
    FbankOptions,
    MelOptions,
    MfccOptions,
    PitchOptions,
    read_options,
)
from espnet.utils.errors import UserError

# what `compute-fbank-feats --help`, compute-mfcc-feats, compute-kaldi-pitch-feats and
# process-kaldi-pitch-feats of Kaldi 5.5 list, less their logging options
FRAME = """
allow-downsample allow-upsample blackman-coeff channel debug-mel dither energy-floor
frame-length frame-shift high-freq htk-compat low-freq max-feature-vectors
min-duration num-mel-bins output-format preemphasis-coefficient raw-energy
remove-dc-offset round-to-power-of-two sample-frequency snip-edges subtract-mean
use-energy utt2spk vtln-high vtln-low vtln-map vtln-warp window-type write-utt2dur
"""
PITCH = """
sample-frequency frame-length frame-shift preemphasis-coefficient min-f0 max-f0
soft-min-f0 penalty-factor lowpass-cutoff resample-frequency delta-pitch
nccf-ballast nccf-ballast-online lowpass-filter-width upsample-filter-width
frames-per-chunk simulate-first-pass-online recompute-frame max-frames-latency
snip-edges pitch-scale pov-scale pov-offset delta-pitch-scale
delta-pitch-noise-stddev normalization-left-context normalization-right-context
delta-window delay add-pov-feature add-normalized-log-pitch add-delta-pitch
add-raw-log-pitch channel min-duration
"""
NAMES = {
    FbankOptions: f"{FRAME} use-log-fbank use-power",
    MfccOptions: f"{FRAME} num-ceps cepstral-lifter",
    PitchOptions: PITCH,
}


@pytest.mark.parametrize("kind", NAMES)
def test_all_options_of_kaldis_programs_exist(kind: type) -> None:
    ours = {name.replace("_", "-") for name in kind.__dataclass_fields__}
    assert ours == set(NAMES[kind].split())


def read(tmp_path: Path, text: str, kind: type = FbankOptions) -> MelOptions:
    (tmp_path / "x.conf").write_text(text)
    return read_options(kind, tmp_path / "x.conf")


def test_lines_are_read_as_kaldi_reads_them(tmp_path: Path) -> None:
    text = """
    # a comment
    --num-mel-bins=80     # another
    --use_energy          # a bare flag is true
    --remove-dc-offset=false
    --window-type=blackmann
    --low-freq = 30
    """
    options = read(tmp_path, text)
    assert (options.num_mel_bins, options.use_energy) == (80, True)
    assert (options.remove_dc_offset, options.window_type) == (False, "blackman")
    assert options.low_freq == 30 and options.dither == 1.0


def test_a_later_file_wins(tmp_path: Path) -> None:
    for name, rate in (("a", 8000), ("b", 16000)):
        (tmp_path / name).write_text(f"--sample-frequency={rate}\n--min-f0=60\n")
    options = read_options(PitchOptions, tmp_path / "a", tmp_path / "b")
    assert (options.sample_frequency, options.min_f0) == (16000, 60)


@pytest.mark.parametrize(
    "text, words",
    [
        (
            "\n--num-mel-bin=80",
            "x.conf:2: unknown option '--num-mel-bin' (did you mean 'num-mel-bins'?)",
        ),
        ("num-mel-bins=80", "x.conf:1: expected '--name=value', has 'num-mel-bins=80'"),
        ("--num-mel-bins=8.5", "x.conf:1: --num-mel-bins=8.5: must be a whole number"),
        ("--dither=a", "x.conf:1: --dither=a: must be a number"),
        ("--use-energy=yes", "x.conf:1: --use-energy=yes: must be true or false"),
        ("--window-type=hann", "'hann' is none of hamming, hanning"),
        ("--vtln-warp=0.9", "x.conf:1: --vtln-warp=0.9: vocal tract length warping is"),
        ("--output-format=htk", "--output-format=htk: only Kaldi archives are written"),
        ("--max-feature-vectors=10", "is for streaming"),
        (
            "--high-freq=9000",
            "x.conf: --low-freq=20, --high-freq=9000: must be a range",
        ),
        ("--num-mel-bins=2", "--num-mel-bins=2: must be 3 or more"),
        ("--sample-frequency=0", "--sample-frequency=0.0: must be above 0"),
        ("--channel=-2", "--channel=-2: must be -1, 0, 1, ..."),
    ],
)
def test_mistakes_are_named_with_file_and_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        read(tmp_path, text)


def test_missing_file_and_too_many_cepstra(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.conf: No such file"):
        read_options(FbankOptions, tmp_path / "none.conf")
    with pytest.raises(UserError, match="--num-ceps=30: must be between 1 and"):
        read(tmp_path, "--num-ceps=30", MfccOptions)
    with pytest.raises(UserError, match="--min-f0=500, --max-f0=400: must be above 0"):
        read(tmp_path, "--min-f0=500", PitchOptions)
