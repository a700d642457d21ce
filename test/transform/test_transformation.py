"""The chain of steps that a file describes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espnet.transform.transformation import TRANSFORMS, Transformation
from espnet.utils.errors import UserError

SPECAUG = """
mode: sequential
process:
  - {type: time_warp, max_time_warp: 5, inplace: true, mode: PIL}
  - {type: freq_mask, F: 30, n_mask: 2, inplace: true, replace_with_zero: false}
  - {type: time_mask, T: 40, n_mask: 2, inplace: true, replace_with_zero: false}
"""
X = np.random.default_rng(0).standard_normal((100, 40)).astype("f4")


class Shift:
    """A step of a user: remembers what it was given."""

    def __init__(self, by: float = 0.0) -> None:
        self.by = by

    def __call__(self, x: np.ndarray, uttid: str, train: bool) -> np.ndarray:
        self.given = (uttid, train)
        return x + self.by


def scale(x: np.ndarray, by: float, **others: Any) -> np.ndarray:
    assert set(others) == {"uttid", "train", "rng"}
    return x * by


def chain(*process: dict[str, Any]) -> Transformation:
    return Transformation({"process": list(process)})


def test_file_in_yaml_or_json_or_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("process: [{type: delta, order: 1}]\n")
    conf = {"mode": "sequential", "process": [{"type": "delta", "order": 1}]}
    (tmp_path / "c.json").write_text(json.dumps(conf))
    for source in (tmp_path / "c.yaml", str(tmp_path / "c.json"), conf):
        assert Transformation(source)([X])[0].shape == (100, 80)


def test_steps_follow_one_another_for_each_array() -> None:
    steps = [{"type": "utterance_cmvn"}, {"type": "delta", "window": 1, "order": 1}]
    first, second = chain(*steps)([X, X[:10]], ["a", "b"], train=False)
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(first[:, :40], centred, atol=1e-6)
    slope = (centred[2:] - centred[:-2]) / 2
    np.testing.assert_allclose(first[1:-1, 40:], slope, atol=1e-6)
    assert second.shape == (10, 80)


def test_a_step_gets_what_it_accepts() -> None:
    conf = [
        {"type": f"{__name__}:Shift", "by": 1},
        {"type": f"{__name__}:scale", "by": 2.0},
        {"type": "identity"},
    ]
    together = chain(*conf)
    np.testing.assert_allclose(together([X], ["u7"], train=False)[0], (X + 1) * 2)
    assert together.steps[0].function.given == ("u7", False)


def test_random_numbers_depend_on_the_seed_only(tmp_path: Path) -> None:
    (tmp_path / "specaug.yaml").write_text(SPECAUG)
    one = Transformation(tmp_path / "specaug.yaml")
    other = pickle.loads(pickle.dumps(one))  # as in another process
    one([X.copy()])  # draws that the other does not make
    one.reseed(12)
    other.reseed(12)
    ours, theirs = one([X.copy()])[0], other([X.copy()])[0]
    np.testing.assert_array_equal(ours, theirs)
    one.reseed(13)
    assert (one([X.copy()])[0] != ours).any()
    np.testing.assert_array_equal(one([X.copy()], train=False)[0], X)


def test_a_step_more_does_not_change_the_draws_of_those_before() -> None:
    mask = {"type": "time_mask", "T": 9}
    short, long = chain(mask), chain(mask, {"type": "freq_mask", "F": 1})
    np.testing.assert_array_equal(short([X])[0], long([X])[0])


def test_equal_steps_and_seeded_steps_draw_differently() -> None:
    noise = {"type": "noise_injection", "lower": 0, "upper": 0}
    x = np.ones(50, "f4")
    once, seeded = chain(noise)([x])[0], chain({**noise, "seed": 5})([x])[0]
    twice = chain(noise, noise)([x])[0]
    assert np.abs(once - seeded).max() > 0.1
    assert np.abs(twice - x - 2 * (once - x)).max() > 0.1


MINIMAL: dict[str, dict[str, Any]] = {
    "rir_convolve": {"utt2rir": "table"},
    "cmvn": {"stats": "stats.npy", "filetype": "npy"},
    "fbank": {"fs": 16000, "n_mels": 4, "n_fft": 16, "n_shift": 4, "eps": "1e-10"},
    "spectrogram": {"n_fft": 16, "n_shift": 4},
    "stft": {"n_fft": 16, "n_shift": 4},
    "istft": {"n_shift": 4},
    "stft2fbank": {"fs": 16000, "n_mels": 4, "n_fft": 16},
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_name_can_be_used_with_its_defaults(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table").write_text("u file\n")
    np.save("stats.npy", np.ones((2, 10)))
    spectra = np.ones((30, 9), "c8" if name in ("istft", "wpe") else "f4")
    sound = name in ("fbank", "spectrogram", "stft", "rir_convolve")
    step = chain({"type": name, **MINIMAL.get(name, {})})
    (y,) = step([spectra[:, 0] if sound else spectra], ["u"], train=False)
    assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mode: parallel\nprocess: []", "c.yaml: mode: 'parallel' is none of sequent"),
        ("proces: []", r"c.yaml: unknown key 'proces' \(did you mean 'process'\?\)"),
        ("mode: sequential", "c.yaml: process: must be a list of steps, is None"),
        ("process: [{F: 3}]", "c.yaml: step 1: must be a mapping with a 'type', is"),
        ("process: [delta]", "c.yaml: step 1: must be a mapping with a 'type', is"),
        (
            "process: [{type: delta}, {type: frq_mask}]",
            r"c.yaml: step 2 \(frq_mask\): type: 'frq_mask' is none of identity, .*"
            r"did you mean 'freq_mask'",
        ),
        (
            "process: [{type: freq_mask, n_maks: 3}]",
            r"step 1 \(freq_mask\): unknown parameter 'n_maks' \(did you mean 'n_mask'",
        ),
        ("process: [{type: identity, a: 3}]", "unknown parameter 'a' .it has none"),
        ("process: [{type: stft, n_fft: 512}]", "parameter 'n_shift' is missing"),
        ("process: [{type: freq_mask, F: wide}]", "F: 'wide' must be a whole number"),
        ("process: [{type: freq_mask, F: 0}]", "F 0 must be 1 or more"),
        (
            "process: [{type: time_warp, inplace: 1}]",
            r"\(time_warp\): inplace: 1 must be true or false",
        ),
        ("process: [{type: time_warp, mode: pil}]", "mode: 'pil' is none of PIL, spa"),
        (
            "process: [{type: delta, window: 0}]",
            r"\(delta\): window 0 must be 1 or more",
        ),
        (
            "process: [{type: stft, n_fft: 16, n_shift: 4, win_length: 20}]",
            "win_length: 20 must lie in 1 to n_fft = 16",
        ),
        (
            "process: [{type: fbank, fs: 16000, n_mels: 4, n_fft: 16, n_shift: 4, "
            "fmax: 9000}]",
            "fmin 0 and fmax 9000 must satisfy 0 <= fmin < fmax <= fs / 2 = 8000",
        ),
        (
            "process: [{type: channel_selector, train_channel: any}]",
            "train_channel: 'any' is neither a number nor 'random'",
        ),
        ("process: [{type: cmvn, stats: no}]", "stats: False must be text"),
        ("process: [{type: cmvn, stats: s, filetype: x}]", "'x' is none of mat, hdf5"),
        ("process: [{type: wpe, taps: 0}]", "taps 0, delay 3 and iterations 3 must be"),
        (
            "process: [{type: speed_perturbation, lower: 2}]",
            "lower 2 must not be above upper 1.1",
        ),
        (
            "process: [{type: 'no_such_module:Step'}]",
            r"step 1 \(no_such_module:Step\): cannot import 'no_such_module'",
        ),
        ("a: [", "c.yaml:1: not valid YAML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        Transformation(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("step", "shape"),
    [
        ({"type": "spec_augment"}, (800,)),  # of sound, before fbank
        ({"type": "bandpass_perturbation", "axes": 1}, (30, 5)),
    ],
)
def test_a_step_in_the_wrong_place_is_named(
    step: dict[str, Any], shape: tuple[int, ...]
) -> None:
    chain = Transformation({"process": [{"type": "identity"}, step]})
    with pytest.raises(UserError) as error:
        chain([np.ones(shape, np.float32)], ["a"])
    start = (
        f"preprocess-conf: step 2 ({step['type']}): cannot process an array of shape"
    )
    assert str(error.value).startswith(f"{start} {shape} (")
    assert "right order" in str(error.value)


def _broken(x: np.ndarray) -> np.ndarray:
    raise ValueError("of the user's own")


def test_errors_of_own_steps_come_as_they_are() -> None:
    chain = Transformation({"process": [{"type": f"{__name__}:_broken"}]})
    with pytest.raises(ValueError, match="of the user's own"):
        chain([np.ones((3, 2))], ["a"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.yaml: cannot be read: No such file"):
        Transformation(tmp_path / "no.yaml")
