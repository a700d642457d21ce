"""Everything that a recogniser needs besides its network, and where it is.

``recogniser.yaml`` names the files, relative to itself. Stage 4 of a recipe writes it
into ``exp/<name>/recogniser/`` with copies of the small ones; ``pack_model.sh`` writes
it into the archive.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from espnet.data.ark import read_global
from espnet.data.cmvn import Cmvn
from espnet.data.extraction import (
    Extractor,
    fbank_extractor,
    fbank_pitch_extractor,
    mfcc_extractor,
)
from espnet.data.features import Seed, add_deltas
from espnet.utils.errors import UsageError, UserError, did_you_mean, one_of
from espnet.utils.files import atomic_write
from espnet.utils.yaml_files import read_yaml

NAME = "recogniser.yaml"
FOLDER = "recogniser"
# published models of ESPnet1 do not say how their features were made: this was usual
USUAL_FBANK = "--sample-frequency=16000\n--num-mel-bins=80\n"
USUAL_PITCH = "--sample-frequency=16000\n"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The content of ``recogniser.yaml``; each field is a key of it.

    Attributes:
        model: model.acc.best and the like.
        model_conf: its model.json; None: beside it.
        feats: kind of features, a key of EXTRACTORS.
        fbank_config, pitch_config, mfcc_config: Kaldi option files of the features.
        cmvn: statistics that normalise them; None: they are not normalised.
        do_delta: whether deltas are appended.
        preprocess_conf: on-the-fly preprocessing instead of the model's own.
        bpemodel: sentencepiece model of the dictionary.
        decode_config: options of asr_recog.py; None: their defaults.
        rnnlm, rnnlm_conf, word_rnnlm, word_rnnlm_conf, word_dict, ngram_model: as the
            options of asr_recog.py.
        longest: input frames of the longest utterance in training; 0: not known.
    """

    model: str
    model_conf: str | None = None
    feats: str = "fbank_pitch"
    fbank_config: str | None = None
    pitch_config: str | None = None
    mfcc_config: str | None = None
    cmvn: str | None = None
    do_delta: bool = False
    preprocess_conf: str | None = None
    bpemodel: str | None = None
    decode_config: str | None = None
    rnnlm: str | None = None
    rnnlm_conf: str | None = None
    word_rnnlm: str | None = None
    word_rnnlm_conf: str | None = None
    word_dict: str | None = None
    ngram_model: str | None = None
    longest: int = 0

    def files(self) -> dict[str, str]:
        """The keys that name files, and those that are given."""
        given = dataclasses.asdict(self)
        return {key: given[key] for key in FILE_KEYS if given[key]}

    def save(self, path: str | Path) -> None:
        """Write ``recogniser.yaml``."""
        given = {k: v for k, v in dataclasses.asdict(self).items() if v}
        with atomic_write(path) as stream:
            stream.write("# what load() and pack_model.sh need; see doc/formats.md\n")
            yaml.safe_dump(given, stream, sort_keys=False)


KEYS = {field.name: field for field in dataclasses.fields(Bundle)}
KINDS = {bool: "true or false", int: "a whole number", str: "a text"}
FILE_KEYS = [key for key in KEYS if key not in ("feats", "do_delta", "longest")]


def read_bundle(path: str | Path) -> Bundle:
    """Read a ``recogniser.yaml``; the files become paths from here.

    Raises:
        UserError: unreadable, an unknown key, a value of another type, no model, or a
            file that is not there.
    """
    path = Path(path)
    content = read_yaml(path)
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name not in KEYS:
            hint = did_you_mean(name, KEYS)
            raise UsageError(f"{path}: unknown key '{key}'{hint}")
        wanted: type = {"do_delta": bool, "longest": int}.get(name, str)
        if value is None:
            continue
        if type(value) is not wanted:
            raise UserError(f"{path}: {key}: {value!r} is not {KINDS[wanted]}")
        values[name] = f"{path.parent / str(value)}" if name in FILE_KEYS else value
    if "model" not in values:
        raise UserError(f"{path}: has no key 'model', the file of weights")
    bundle = Bundle(**values)
    for key, file in bundle.files().items():
        if not Path(file).is_file():
            raise UserError(
                f"{path}: {key}: {file}: no such file; run stage 5 of the recipe "
                "again, or give it where the recogniser is loaded"
            )
    return bundle


def find_bundle(path: str | Path) -> Path | None:
    """The ``recogniser.yaml`` of an experiment's folder or of a file of weights in it.

    Args:
        path: ``exp/<name>``, ``exp/<name>/results`` or a model in it.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    for place in (folder, folder / FOLDER, folder.parent / FOLDER):
        if (place / NAME).is_file():
            return place / NAME
    return None


def bundle_of(path: str | Path, given: Mapping[str, Any]) -> Bundle:
    """The bundle of a folder or model on disk, with what the caller gives instead.

    Args:
        path: an experiment's folder, or a file of weights.
        given: keys of Bundle.

    Raises:
        UserError: nothing is there, or not enough is known of it.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(
            f"{path}: no such file or folder; wanted is an experiment (exp/...), a "
            "model in its results/, or an archive of pack_model.sh"
        )
    found = find_bundle(path)
    own = {"model": str(path)} if path.is_file() else {}
    if found is not None:
        return changed(read_bundle(found), {**own, **given})
    chosen: dict[str, Any] = {**own, **given}
    if "model" not in chosen or "cmvn" not in chosen:
        lacks = "model and cmvn" if "model" not in chosen else "cmvn"
        raise UserError(
            f"{path}: has no {FOLDER}/{NAME}, which says how its features are made; "
            f"run stage 5 of its recipe again, which writes it, or give {lacks} (and "
            "feats, fbank_config, pitch_config where they are not the usual ones)"
        )
    return Bundle(**chosen)


def changed(bundle: Bundle, given: Mapping[str, Any]) -> Bundle:
    """The bundle with other keys; other weights bring the model.json beside them."""
    confs: dict[str, Any] = {}
    for key in ("model", "rnnlm", "word_rnnlm"):
        if given.get(key) and Path(given[key]).with_name("model.json").is_file():
            confs[f"{key}_conf"] = None
    return replace(bundle, **{**confs, **given})


@dataclass(frozen=True)
class FrontEnd:
    """From samples to what the network reads.

    Attributes:
        extractor: computes features; knows the sampling rate.
        cmvn: normalises them, if given.
        do_delta: whether deltas are appended.
    """

    extractor: Extractor
    cmvn: Cmvn | None
    do_delta: bool

    @property
    def rate(self) -> int:
        """The sampling rate of the audio, in Hz."""
        return int(self.extractor.audio.sample_frequency)

    @property
    def frame_shift(self) -> float:
        """Seconds from frame to frame."""
        return self.extractor.audio.frame_shift / 1000.0

    def __call__(self, samples: np.ndarray, seed: Seed = 0) -> np.ndarray:
        """Features (T, D) of samples (N,) at the scale of 16-bit integers.

        Args:
            samples: at the right sampling rate.
            seed: of the dither.

        Raises:
            UserError: fewer samples than a frame has.
        """
        feats = self.extractor.compute(samples, seed)
        if self.cmvn is not None:
            feats = self.cmvn(feats)
        return add_deltas(feats) if self.do_delta else feats


EXTRACTORS: dict[str, Callable[[Bundle], Extractor]] = {
    "fbank": lambda b: fbank_extractor(_need(b, "fbank_config")),
    "fbank_pitch": lambda b: fbank_pitch_extractor(
        _need(b, "fbank_config"), [_need(b, "pitch_config")], tolerance=2
    ),
    "mfcc": lambda b: mfcc_extractor(_need(b, "mfcc_config")),
}


def make_front_end(bundle: Bundle) -> FrontEnd:
    """The front end that a bundle describes.

    Raises:
        UserError: an unknown kind, or a file that is missing or wrong.
    """
    if bundle.feats not in EXTRACTORS:
        raise UserError(one_of("feats", bundle.feats, EXTRACTORS))
    extractor = EXTRACTORS[bundle.feats](bundle)
    cmvn = None
    if bundle.cmvn:
        stats = read_global(bundle.cmvn)
        cmvn = Cmvn.from_stats(stats, bundle.cmvn, norm_vars=True)
    return FrontEnd(extractor, cmvn, bundle.do_delta)


def _need(bundle: Bundle, key: str) -> str:
    path = getattr(bundle, key)
    if not path:
        raise UserError(
            f"{key}: not given, but {bundle.feats} features need it; name the file of "
            f"Kaldi options that they were made with"
        )
    return path


def named_models(models: str, model: str) -> str:
    """The path that ``--models`` means, or a single file of weights.

    Raises:
        UserError: neither is given, or there is no such file.
    """
    path = models or model
    if not path:
        raise UserError(
            "--models: is missing: an archive of pack_model.sh, or a folder exp/<name>"
        )
    if not Path(path).exists():
        public = ""
        if models and "/" not in models and Path(models).suffix != ".zip":
            public = (
                "; if it is the name of a model that ESPnet's authors published, "
                "download its archive first and name the file"
            )
        raise UserError(f"--models: {path}: no such file or folder{public}")
    return path
