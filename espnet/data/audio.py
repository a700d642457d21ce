"""Audio from files and commands: samples at the scale of 16-bit integers, as Kaldi's.

Reads what libsndfile reads (wav, flac, ogg, mp3, NIST SPHERE) from a path or from the
output of ``command |``. A file that is shorter than its header says is an error here,
where libsndfile would return what is left.
"""

from __future__ import annotations

import io
import re
import shlex
import struct
import subprocess
from mmap import mmap
from pathlib import PurePath

import numpy as np
import soundfile
import soxr

from espnet.utils.errors import UserError, one_of

INT16 = 32768.0
SOUND_FORMATS = {  # that are written: libsndfile's names of container and coding
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
}
PERTURB_COMMAND = "perturb_speed.py"
_UNKNOWN_SIZES = (
    0,
    0x7FFFFFFF,
    0x7FFFF000,
    0xFFFFFFFF,
)  # written by a streaming writer
_READABLE = "wav, flac, ogg, mp3 and NIST SPHERE can be read"


def read_audio(source: str) -> tuple[np.ndarray, int]:
    """Read a file, or the output of a command if ``source`` ends in ``|``.

    Returns:
        samples (T, C) float32 between -32768 and 32767, and the sampling rate in Hz.

    Raises:
        UserError: missing, empty, cut off, compressed with shorten, or not audio; the
            command failed. The message starts with the file or the command.
    """
    source = source.strip()
    if not source.endswith("|"):
        return _decode(_read_file(source), source)
    speed = _speed_stage(source)
    if speed is not None:
        inner, factor = speed
        samples, rate = read_audio(inner)
        return to_int16(perturb_speed(samples, factor)).astype(np.float32), rate
    return _decode(_run(source[:-1].strip()), source)


def select_channel(samples: np.ndarray, channel: int, remedy: str) -> np.ndarray:
    """One channel of samples (T, C) -> (T,); -1 expects that there is one only.

    Args:
        remedy: what to write where to choose a channel, for the error message.

    Raises:
        UserError: several channels and none chosen, or there is no such channel.
    """
    count = samples.shape[1]
    if channel < 0 and count > 1:
        raise UserError(f"has {count} channels, one is expected; {remedy}")
    if channel >= count:
        raise UserError(
            f"has {count} channel{'s' * (count > 1)}, so channel {channel} does not "
            "exist (they count from 0)"
        )
    return samples[:, max(channel, 0)]


def resample(samples: np.ndarray, rate: float, new_rate: float) -> np.ndarray:
    """Change the sampling rate of (T,) or (T, C) samples."""
    if rate == new_rate:
        return samples
    return soxr.resample(samples, rate, new_rate)


def perturb_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play (T,) or (T, C) samples ``factor`` times as fast: T / factor samples.

    Pitch and tempo change together, as with sox's ``speed``.
    """
    return resample(samples, factor, 1.0)


def trim_silence(
    samples: np.ndarray, threshold: float, window: int, shift: int
) -> tuple[int, int]:
    """Where sound begins and ends: samples from the first to after the last loud frame.

    A frame of ``window`` samples centred at each multiple of ``shift`` is loud if its
    root mean square lies less than ``threshold`` dB below that of the loudest.
    """
    padded = np.pad(samples.astype(np.float64), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::shift]
    power = np.square(frames).mean(axis=1)
    loud = np.flatnonzero(power * 10 ** (threshold / 10) > power.max())
    if not len(loud):
        return 0, len(samples)  # nothing but zeros
    return int(loud[0]) * shift, min(len(samples), (int(loud[-1]) + 1) * shift)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Round to 16-bit integers; what is too loud is clipped."""
    return np.clip(np.rint(samples), -INT16, INT16 - 1).astype(np.int16)


def encode_wav(samples: np.ndarray, rate: int) -> bytes:
    """The bytes of a 16-bit WAV file."""
    return encode_sound(samples, rate, "wav")


def encode_sound(samples: np.ndarray, rate: int, audio_format: str) -> bytes:
    """The bytes of a sound file with (T,) or (T, C) samples of 16 bits.

    Raises:
        UserError: the format is not one of SOUND_FORMATS.
    """
    if audio_format not in SOUND_FORMATS:
        raise UserError(one_of("audio format", audio_format, SOUND_FORMATS))
    buffer = io.BytesIO()
    kind, subtype = SOUND_FORMATS[audio_format]
    soundfile.write(buffer, to_int16(samples), rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def decode_audio(data: bytes, name: str) -> tuple[np.ndarray, int]:
    """Like :func:`read_audio`, for bytes in memory; ``name`` stands in messages."""
    return _decode(data, name)


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _run(command: str) -> bytes:
    """The stdout of a shell command."""
    done = subprocess.run(command, shell=True, capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    reason = f": {lines[-1]}" if lines else ""
    remedy = ""
    if done.returncode == 127:
        remedy = f" (install that program, or name the file itself: {_READABLE})"
    raise UserError(
        f"{command} |: the command failed with status {done.returncode}{reason}{remedy}"
    )


def _speed_stage(source: str) -> tuple[str, float] | None:
    """``(source, factor)`` if a command ends in our perturb_speed.py.

    Calling the function instead of a new Python saves a quarter of a second a file.
    """
    head, _, last = source[:-1].rpartition("|")
    if PERTURB_COMMAND not in last or re.search(r"[$`*?~<>;&()]", last):
        return None
    try:
        program, factor, path = shlex.split(last)
        number = float(factor)
    except ValueError:
        return None
    if PurePath(program).name != PERTURB_COMMAND or (path == "-") != bool(head.strip()):
        return None
    if number <= 0:
        raise UserError(f"{source}: the speed factor must be above 0")
    return (f"{head.strip()} |" if path == "-" else path), number


def _decode(data: bytes, name: str) -> tuple[np.ndarray, int]:
    if not data:
        raise UserError(f"{name}: is empty (0 bytes); replace or remove it")
    check_header(data, name)
    fault = "cannot be read as audio"
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as audio:
            promised = audio.frames if audio.format == "FLAC" else 0
            rate = int(audio.samplerate)
            fault = "is damaged or truncated"
            samples = audio.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(error).rpartition(": ")[2].strip().rstrip(".")
        raise UserError(f"{name}: {fault} ({reason}); {_READABLE}") from None
    if len(samples) < promised:
        raise _truncated(name, promised, len(samples), "samples")
    if len(samples) == 0:
        raise UserError(f"{name}: holds no samples; replace or remove it")
    samples *= INT16
    return samples, rate


def check_header(data: bytes | mmap, name: str) -> None:
    """Compare what the header of a WAV or SPHERE file promises with what is there.

    Raises:
        UserError: there is less, or it is compressed with shorten.
    """
    if data[:4] == b"RIFF":
        _check_wav(data, name)
    elif data[:7] == b"NIST_1A":
        _check_sphere(data, name)


def _check_wav(data: bytes | mmap, name: str) -> None:
    """Compare the size in the header of the ``data`` chunk with what is there."""
    place = 12
    while place + 8 <= len(data):
        chunk, size = struct.unpack_from("<4sI", data, place)
        place += 8
        if chunk == b"data":
            there = len(data) - place
            if size not in _UNKNOWN_SIZES and size > there:
                raise _truncated(name, size, there, "bytes of samples")
            if there == 0 or (size == 0 and there < 2):
                raise UserError(f"{name}: holds no samples; replace or remove it")
            return
        place += size + size % 2
    raise UserError(f"{name}: is cut off: it ends before its samples; replace it")


def _check_sphere(data: bytes | mmap, name: str) -> None:
    lines = data[:1024].decode("ascii", errors="replace").splitlines()
    fields = {}
    for line in lines[2:]:
        words = line.split(None, 2)
        if len(words) == 3:
            fields[words[0]] = words[2].strip()
    coding = fields.get("sample_coding", "pcm")
    if "shorten" in coding:
        path = shlex.quote(name)
        raise UserError(
            f"{name}: is compressed with shorten, which cannot be read here; write "
            f"'sph2pipe -f wav -p {path} |' in wav.scp (with sph2pipe installed), or "
            "convert it to wav"
        )
    try:
        size = int(lines[1]) + int(fields["sample_count"]) * int(
            fields.get("channel_count", 1)
        ) * int(fields.get("sample_n_bytes", 2))
    except (ValueError, KeyError, IndexError):
        return  # libsndfile judges a header that leaves this open
    if size > len(data):
        raise _truncated(name, size, len(data), "bytes")


def _truncated(name: str, promised: int, there: int, unit: str) -> UserError:
    return UserError(
        f"{name}: is truncated: its header promises {promised} {unit}, there are "
        f"{there}; copy the file again or remove the utterance"
    )
