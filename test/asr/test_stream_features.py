"""Features of audio that comes in pieces, against those of the whole recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from espnet.asr.bundle import Bundle, FrontEnd, make_front_end
from espnet.asr.stream_features import OnlineFeatures
from espnet.data.cmvn import Cmvn
from espnet.utils.errors import UserError

RATE = 8000


def speech(seconds: float) -> np.ndarray:
    """A gliding voice with pauses, and noise."""
    random = np.random.default_rng(0)
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(3 * time)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    loud = 2000 * (np.sin(5 * time) > -0.3)
    noise = 30 * random.standard_normal(len(time))
    return (loud * voice + noise).astype(np.float32)


def front_end(
    folder: Path, kind: str, options: str, do_delta: bool = False
) -> FrontEnd:
    conf = folder / "feats.conf"
    conf.write_text(f"--sample-frequency={RATE}\n" + options)
    pitch = folder / "pitch.conf"
    noiseless = "--delta-pitch-noise-stddev=0\n"  # Kaldi's noise differs in each call
    pitch.write_text(f"--sample-frequency={RATE}\n{noiseless}")
    bundle = Bundle(
        model="m",
        feats=kind,
        fbank_config=str(conf),
        mfcc_config=str(conf),
        pitch_config=str(pitch),
        do_delta=do_delta,
    )
    made = make_front_end(bundle)
    size = made(speech(0.5)).shape[1] // (3 if do_delta else 1)
    random = np.random.default_rng(1)
    cmvn = Cmvn(random.normal(size=size), random.uniform(0.5, 2.0, size=size))
    return FrontEnd(made.extractor, cmvn, do_delta)


def in_pieces(made: FrontEnd, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    online, found, start = OnlineFeatures(made), [], 0
    while start < len(samples) or not found:
        size = sizes[len(found) % len(sizes)]
        feats = online.feed(samples[start : start + size], start + size >= len(samples))
        found.append(np.zeros((0, 0)) if feats is None else feats)
        start += size
    return np.concatenate([feats for feats in found if len(feats)])


@pytest.mark.parametrize("sizes", [[80], [1000, 1, 333], [100000]])
@pytest.mark.parametrize(
    ("kind", "options", "do_delta"),
    [
        ("fbank", "--dither=0\n", False),
        ("fbank", "", False),  # dither's noise is that of the whole, too
        ("fbank", "", True),
        ("fbank", "--snip-edges=false\n", False),
        ("fbank", "--snip-edges=false\n--frame-shift=12.5\n", True),
        ("fbank", "--use-energy=true\n--frame-length=32\n", False),
        ("mfcc", "--num-ceps=12\n", True),
    ],
)
def test_equal_to_the_whole(
    tmp_path: Path, kind: str, options: str, do_delta: bool, sizes: list[int]
) -> None:
    made = front_end(tmp_path, kind, options, do_delta)
    for seconds in (0.04, 0.1, 0.613, 1.7):
        samples = speech(seconds)
        found = in_pieces(made, samples, sizes)
        np.testing.assert_allclose(found, made(samples), rtol=1e-4, atol=1e-4)


def test_pitch_is_near_that_of_the_whole(tmp_path: Path) -> None:
    made = front_end(tmp_path, "fbank_pitch", "")
    samples = speech(6.0)
    found, whole = in_pieces(made, samples, [1600]), made(samples)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found[:, :-3], whole[:, :-3], rtol=1e-4, atol=1e-4)
    error = np.abs(found[:, -3:] - whole[:, -3:]).mean(0)
    assert (error < 0.1 * whole[:, -3:].std(0)).all()


@pytest.mark.parametrize(
    ("kind", "do_delta", "right"),
    [("fbank", False, 0), ("fbank", True, 4), ("fbank_pitch", False, 85)],
)
def test_frames_come_as_soon_as_they_can(
    tmp_path: Path, kind: str, do_delta: bool, right: int
) -> None:
    online = OnlineFeatures(front_end(tmp_path, kind, "", do_delta))
    assert online.right == right
    feats = online.feed(speech(2.0))
    assert feats is not None
    assert len(feats) == (2 * RATE - 200) // 80 + 1 - right
    assert online.feed(np.zeros(39, np.float32)) is None  # 40 lack


def test_memory_is_bounded(tmp_path: Path) -> None:
    online = OnlineFeatures(front_end(tmp_path, "fbank_pitch", ""))
    for _ in range(8):
        online.feed(speech(1.0))
    assert len(online.samples) < 4 * RATE


def test_the_mean_of_a_recording_cannot_be_known_in_time(tmp_path: Path) -> None:
    made = front_end(tmp_path, "fbank", "--subtract-mean=true\n")
    with pytest.raises(UserError, match="subtract-mean=true needs whole recordings"):
        OnlineFeatures(made)
