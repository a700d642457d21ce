"""Kaldi's option files (``conf/fbank.conf``): one ``--name=value`` a line, # comments.

Each dataclass has the options of one Kaldi program under its names and defaults. A
value that this toolkit cannot follow is refused; none is read and ignored.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from espnet.utils.errors import UserError, did_you_mean, one_of
from espnet.utils.option_values import parse_bool
from espnet.utils.options import OptionParser, option, parse_options

Options = TypeVar("Options", bound="SourceOptions")
_BOOLEANS = {"true": True, "t": True, "1": True, "": True}
_BOOLEANS |= {"false": False, "f": False, "0": False}
_OFFLINE = "is for streaming, features are extracted from whole utterances here"
_VTLN = "vocal tract length warping is not built"


def fixed(default: Any, reason: str) -> Any:
    """A Kaldi option whose other values are refused, with the reason."""
    return dataclasses.field(default=default, metadata={"fixed": reason})


class OptionProblem(UserError):
    """What is wrong with the values of an option file, before its name is known."""


@dataclass(frozen=True)
class SourceOptions:
    """Audio and framing options that all Kaldi feature programs share."""

    sample_frequency: float = option(16000.0, "sampling rate of the audio, Hz")
    frame_length: float = option(25.0, "length of a frame, ms")
    frame_shift: float = option(10.0, "step from frame to frame, ms")
    snip_edges: bool = option(True, "only whole frames; false: one per frame shift")
    channel: int = option(-1, "channel to take, from 0; -1: expect mono")
    min_duration: float = option(0.0, "utterances shorter than this are left out, s")

    def check(self) -> None:
        """Look at the values together.

        Raises:
            OptionProblem: a value is out of its range.
        """
        for name in ("sample_frequency", "frame_length", "frame_shift"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        _require(self.channel >= -1, "channel", self.channel, "-1, 0, 1, ...")


@dataclass(frozen=True)
class MelOptions(SourceOptions):
    """Options that compute-fbank-feats and compute-mfcc-feats share."""

    dither: float = option(1.0, "amplitude of the noise that is added; 0: none")
    preemphasis_coefficient: float = option(0.97, "coefficient of the pre-emphasis")
    remove_dc_offset: bool = option(True, "subtract the mean of each frame")
    window_type: str = option(
        "povey",
        "shape of the window",
        choices=("hamming", "hanning", "povey", "rectangular", "sine", "blackman"),
    )
    blackman_coeff: float = option(0.42, "constant of the blackman window")
    round_to_power_of_two: bool = option(True, "pad frames with zeros for the FFT")
    allow_downsample: bool = option(False, "convert audio of a higher sampling rate")
    allow_upsample: bool = option(False, "convert audio of a lower sampling rate")
    num_mel_bins: int = option(23, "number of triangular mel filters")
    low_freq: float = option(20.0, "lower edge of the mel filters, Hz")
    high_freq: float = option(0.0, "upper edge, Hz; 0 or less: from the Nyquist rate")
    raw_energy: bool = option(True, "measure energy before pre-emphasis and window")
    energy_floor: float = option(0.0, "floor of the energy; 0: none")
    htk_compat: bool = option(False, "put the energy or C0 last")
    subtract_mean: bool = option(False, "subtract the mean of each utterance")
    vtln_low: float = option(100.0, "used by --vtln-warp only")
    vtln_high: float = option(-500.0, "used by --vtln-warp only")
    vtln_warp: float = fixed(1.0, _VTLN)
    vtln_map: str = fixed("", _VTLN)
    utt2spk: str = fixed("", _VTLN)
    max_feature_vectors: int = fixed(-1, _OFFLINE)
    debug_mel: bool = fixed(False, "there is no such debugging output")
    output_format: str = fixed("kaldi", "only Kaldi archives are written")
    write_utt2dur: str = fixed("", "use the option --write-utt2dur of the script")

    def check(self) -> None:
        """See :meth:`SourceOptions.check`."""
        super().check()
        nyquist = self.sample_frequency / 2
        high = self.high_freq if self.high_freq > 0 else nyquist + self.high_freq
        _require(self.num_mel_bins >= 3, "num_mel_bins", self.num_mel_bins, "3 or more")
        _require(self.dither >= 0, "dither", self.dither, "0 or more")
        _require(
            0 <= self.low_freq < high <= nyquist,
            "low_freq",
            f"{self.low_freq:g}, --high-freq={self.high_freq:g}",
            f"a range between 0 and {nyquist:g} Hz, half of --sample-frequency",
        )
        _require(
            0 <= self.preemphasis_coefficient <= 1,
            "preemphasis_coefficient",
            self.preemphasis_coefficient,
            "between 0 and 1",
        )


@dataclass(frozen=True)
class FbankOptions(MelOptions):
    """Options of compute-fbank-feats."""

    use_energy: bool = option(False, "add the log energy as one more dimension")
    use_log_fbank: bool = option(True, "logarithm of the mel energies")
    use_power: bool = option(True, "power spectrum; false: magnitudes")


@dataclass(frozen=True)
class MfccOptions(MelOptions):
    """Options of compute-mfcc-feats."""

    num_ceps: int = option(13, "number of cepstra, C0 included")
    use_energy: bool = option(True, "log energy in the place of C0")
    cepstral_lifter: float = option(22.0, "constant of the liftering; 0: none")

    def check(self) -> None:
        """See :meth:`SourceOptions.check`."""
        super().check()
        _require(
            1 <= self.num_ceps <= self.num_mel_bins,
            "num_ceps",
            self.num_ceps,
            f"between 1 and --num-mel-bins={self.num_mel_bins}",
        )


@dataclass(frozen=True)
class PitchOptions(SourceOptions):
    """Options of compute-kaldi-pitch-feats and process-kaldi-pitch-feats."""

    preemphasis_coefficient: float = option(0.0, "coefficient of the pre-emphasis")
    min_f0: float = option(50.0, "lowest pitch, Hz")
    max_f0: float = option(400.0, "highest pitch, Hz")
    soft_min_f0: float = option(10.0, "pitch below which a cost is added, Hz")
    penalty_factor: float = option(0.1, "cost of a change of pitch")
    lowpass_cutoff: float = option(1000.0, "cut-off of the low-pass filter, Hz")
    resample_frequency: float = option(4000.0, "rate of the down-sampled signal, Hz")
    delta_pitch: float = option(0.005, "smallest relative change of pitch")
    nccf_ballast: float = option(7000.0, "the larger, the lower NCCF for quiet frames")
    lowpass_filter_width: int = option(1, "width of the low-pass filter")
    upsample_filter_width: int = option(5, "width of the filter that resamples NCCF")
    nccf_ballast_online: bool = option(False, "ballast from the frames so far only")
    frames_per_chunk: int = option(0, "simulate streaming by chunks; 0: no")
    simulate_first_pass_online: bool = option(False, "features before the final pass")
    recompute_frame: int = option(500, "frame at which streaming estimates anew")
    max_frames_latency: int = option(0, "delay that streaming allows, frames")
    pitch_scale: float = option(2.0, "scale of the normalised log pitch")
    pov_scale: float = option(2.0, "scale of the probability of voicing")
    pov_offset: float = option(0.0, "added to the probability of voicing")
    delta_pitch_scale: float = option(10.0, "scale of the delta log pitch")
    delta_pitch_noise_stddev: float = option(0.005, "noise added to the delta")
    normalization_left_context: int = option(75, "frames before, for the mean")
    normalization_right_context: int = option(75, "frames after, for the mean")
    delta_window: int = option(2, "frames on each side for the delta")
    delay: int = option(0, "delay of the features, frames")
    add_pov_feature: bool = option(True, "output the probability of voicing")
    add_normalized_log_pitch: bool = option(True, "output the normalised log pitch")
    add_delta_pitch: bool = option(True, "output the delta of the log pitch")
    add_raw_log_pitch: bool = option(False, "output the log pitch")

    def check(self) -> None:
        """See :meth:`SourceOptions.check`."""
        super().check()
        _require(
            0 < self.min_f0 < self.max_f0,
            "min_f0",
            f"{self.min_f0:g}, --max-f0={self.max_f0:g}",
            "above 0 and below --max-f0",
        )
        outputs = ("pov_feature", "normalized_log_pitch", "delta_pitch")
        chosen = any(getattr(self, f"add_{name}") for name in outputs)
        _require(
            chosen or self.add_raw_log_pitch,
            "add_pov_feature",
            "false",
            "true for one add-...",
        )


def read_options(kind: type[Options], *files: str | Path) -> Options:
    """Read Kaldi option files into ``kind``; a later file wins.

    Raises:
        UserError: a file is missing; an unknown option, a value of another type, out of
            its range, or one that this toolkit cannot follow (``file:line``).
    """
    values: dict[str, Any] = {}
    for file in files:
        for number, line in enumerate(_lines(file), 1):
            text = line.partition("#")[0].strip()
            if text:
                name, value = _setting(kind, text, f"{file}:{number}")
                values[name] = value
    options = kind(**values)
    try:
        options.check()
    except OptionProblem as problem:
        where = f"{files[-1]}: " if files else ""
        raise UserError(f"{where}{problem}") from None
    return options


def _lines(file: str | Path) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file}: is not a text file with Kaldi options") from None


def _setting(kind: type, text: str, place: str) -> tuple[str, Any]:
    """One line -> (field name, value)."""
    if not text.startswith("--"):
        raise UserError(f"{place}: expected '--name=value', has '{text}'")
    flag, _, value = text[2:].partition("=")
    name = flag.strip().lower().replace("-", "_")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if name not in fields:
        known = [field.replace("_", "-") for field in fields]
        hint = did_you_mean(flag, known)
        raise UserError(f"{place}: unknown option '--{flag}'{hint}")
    field = fields[name]
    parsed = _value(typing.get_type_hints(kind)[name], flag, value.strip(), place)
    if parsed == "blackmann":  # as Kaldi's own help spells it
        parsed = "blackman"
    choices = field.metadata.get("choices")
    if choices and parsed not in choices:
        raise UserError(f"{place}: " + one_of(f"--{flag}", parsed, choices))
    reason = field.metadata.get("fixed")
    if reason and parsed != field.default:
        raise UserError(f"{place}: --{flag}={value.strip()}: {reason}; remove it")
    return name, parsed


def _value(hint: type, flag: str, text: str, place: str) -> Any:
    if hint is str:
        return text
    if hint is bool:
        if text.lower() not in _BOOLEANS:
            raise UserError(f"{place}: --{flag}={text}: must be true or false")
        return _BOOLEANS[text.lower()]
    try:
        return hint(text)
    except ValueError:
        wanted = "a whole number" if hint is int else "a number"
        raise UserError(f"{place}: --{flag}={text}: must be {wanted}") from None


def _require(fine: bool, name: str, value: object, allowed: str) -> None:
    if not fine:
        flag = name.replace("_", "-")
        raise OptionProblem(f"--{flag}={value}: must be {allowed}")


def parse_kaldi_command(
    config: type,
    argv: Sequence[str] | None,
    positionals: Mapping[str, str],
    *,
    prog: str,
    description: str,
    stdout: str = "",
) -> Namespace:
    """Parse the command line of a program with Kaldi's manners.

    A bare ``--flag`` means true and does not take the argument after it, unless that is
    a truth value; the ``positionals`` (name -> help) must all be there, but for the one
    that is named in ``stdout``, which is ``-`` if not given.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    hints = typing.get_type_hints(config)
    flags = {"--" + name for name in hints if hints[name] is bool}
    for place, word in enumerate(args):
        bare = word[:2] + word[2:].replace("-", "_") in flags
        if bare and not _is_bool(args[place + 1 : place + 2]):
            args[place] = f"{word}=true"

    def add_positionals(parser: OptionParser, _: Namespace) -> None:
        for name, text in positionals.items():
            maybe = {"nargs": "?", "default": "-"} if name == stdout else {}
            parser.add_argument(name, help=text, **maybe)

    return parse_options(
        [config], args, prog=prog, description=description, more=add_positionals
    )


def _is_bool(words: Sequence[str]) -> bool:
    try:
        return bool(words) and parse_bool(words[0]) in (True, False)
    except ValueError:
        return False
