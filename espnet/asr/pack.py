"""One file with everything that a recogniser needs, and its checksums.

The archive (zip, or tar.gz) holds ``recogniser.yaml``, the files that it names, and
``manifest.json`` with the SHA-256 sum and the size of each file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from espnet.asr.bundle import (
    NAME,
    USUAL_FBANK,
    USUAL_PITCH,
    Bundle,
    bundle_of,
    changed,
    read_bundle,
)
from espnet.asr.language import read_conf
from espnet.asr.trained import load_trained_config
from espnet.text.dictionary import SPACE
from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write
from espnet.utils.yaml_files import read_yaml

MANIFEST = "manifest.json"
BLOCK = 1 << 20  # bytes read at once
UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError),
    *(zlib.error, zipfile.BadZipFile, tarfile.TarError),
)
FOLDERS = {  # where the files of a key go, as ESPnet1's archives have it
    "model": "exp",
    "model_conf": "exp",
    "cmvn": "data",
    "bpemodel": "data",
    "rnnlm": "lm",
    "rnnlm_conf": "lm",
    "word_rnnlm": "wordlm",
    "word_rnnlm_conf": "wordlm",
    "word_dict": "wordlm",
    "ngram_model": "lm",
}
WITHOUT_LANGUAGE_MODEL = dict.fromkeys(
    ("rnnlm", "rnnlm_conf", "word_rnnlm", "word_rnnlm_conf", "word_dict")
)
Copy = Callable[[str, Path], None]  # name in the archive, file on disk


def pack(
    bundle: Bundle, outfile: str | Path, more: Mapping[str, Path] | None = None
) -> list[str]:
    """Write an archive; it appears when it is complete.

    Args:
        bundle: what to pack; the model.json of models is added where it is not named.
        outfile: ``.zip`` or ``.tar.gz``.
        more: further files by their name in the archive, such as ``etc/RESULTS.md``.

    Returns:
        The names of the files in it.

    Raises:
        UserError: a file is not there, two have one name, or another kind of archive.
    """
    outfile = Path(outfile)
    names, inside = _names(bundle, more or {})
    sums = {name: _sums(path) for name, path in names.items()}
    listed = {"format": 1, "files": sums}
    with atomic_write(outfile, "wb") as stream, _writer(outfile, stream) as add:
        described = outfile.with_name(f".{outfile.name}.{os.getpid()}.yaml")
        try:
            inside.save(described)
            sums[NAME] = _sums(described)
            add(NAME, described)
            described.write_text(json.dumps(listed, indent=1), encoding="utf-8")
            add(MANIFEST, described)
        finally:
            described.unlink(missing_ok=True)
        for name, path in names.items():
            add(name, path)
    return [NAME, MANIFEST, *names]


def with_preprocessing(bundle: Bundle) -> Bundle:
    """The bundle with the on-the-fly preprocessing that its model.json names.

    Raises:
        UserError: model.json cannot be read, or that file is not there.
    """
    conf = bundle.model_conf or str(Path(bundle.model).parent / "model.json")
    named = load_trained_config(conf).args.get("preprocess_conf")
    if bundle.preprocess_conf or not named:
        return bundle
    if not Path(named).is_file():
        raise UserError(
            f"{conf}: preprocess_conf: no file '{named}'; name it with "
            "--preprocess-conf, or call this in the recipe's folder"
        )
    return replace(bundle, preprocess_conf=named)


def with_named_files(bundle: Bundle) -> Bundle:
    """The bundle with the files that its decoding config names, if it has none itself.

    Raises:
        UserError: that config cannot be read.
    """
    if not bundle.decode_config:
        return bundle
    content = read_yaml(bundle.decode_config).items()
    named = {str(key).replace("-", "_"): value for key, value in content}
    found: dict[str, Any] = {
        key: str(named[key])
        for key in (*WITHOUT_LANGUAGE_MODEL, "ngram_model", "preprocess_conf")
        if named.get(key) and not getattr(bundle, key)
    }
    return replace(bundle, **found)


def with_language_model(bundle: Bundle, path: str) -> Bundle:
    """The bundle with this language model, of tokens or words, instead of its own.

    Raises:
        UserError: a model.json cannot be read.
    """
    conf = bundle.model_conf or Path(bundle.model).parent / "model.json"
    key = "word_rnnlm" if _is_of_words(Path(path), Path(conf)) else "rnnlm"
    changes: dict[str, Any] = {**WITHOUT_LANGUAGE_MODEL, key: path}
    return replace(bundle, **changes)


def _is_of_words(path: Path, model_conf: Path) -> bool:
    """Whether a language model lacks the token ``<space>`` that the recogniser has."""
    conf = path.parent / "model.json"
    if not (conf.is_file() and model_conf.is_file()):
        return False  # who wants to use them says what is missing
    known = read_conf(conf, "--lm").get("char_list_dict") or {SPACE: 0}
    return SPACE in load_trained_config(model_conf).char_list and SPACE not in known


def _names(bundle: Bundle, more: Mapping[str, Path]) -> tuple[dict[str, Path], Bundle]:
    """The files by their names in the archive, and the bundle with those names."""
    for key in ("model", "rnnlm", "word_rnnlm"):
        path, conf = getattr(bundle, key), getattr(bundle, f"{key}_conf")
        if path and not conf:
            beside = str(Path(path).parent / "model.json")
            changed: dict[str, Any] = {f"{key}_conf": beside}
            bundle = replace(bundle, **changed)
    names: dict[str, Path] = {}
    renamed: dict[str, Any] = {}
    for key, file in [*bundle.files().items(), *((n, str(p)) for n, p in more.items())]:
        path = Path(file)
        if not path.is_file():
            raise UserError(f"{path}: no such file; it should go into the archive")
        name = key if key in more else f"{FOLDERS.get(key, 'conf')}/{path.name}"
        if names.get(name, path) != path:
            raise UserError(
                f"{path}: would have the same name in the archive as {names[name]} "
                f"({name}); rename one of them"
            )
        names[name] = path
        if key not in more:
            renamed[key] = name
    return names, replace(bundle, **renamed)


def _sums(path: Path) -> dict[str, str | int]:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return {"sha256": digest.hexdigest(), "bytes": path.stat().st_size}


@contextmanager
def _writer(path: Path, stream: IO[bytes]) -> Iterator[Copy]:
    """A function that adds a file to the archive that ``path`` is named after."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            yield lambda name, file: archive.write(file, name)
    elif path.name.endswith((".tar.gz", ".tgz")):
        # rnnlm.model.best is a link, and unpack() refuses links
        with tarfile.open(fileobj=stream, mode="w:gz", dereference=True) as archive:
            yield lambda name, file: archive.add(file, name)
    else:
        raise UserError(f"{path}: must end in .zip or .tar.gz")


@contextmanager
def opened_bundle(path: str | Path, given: Mapping[str, Any]) -> Iterator[Bundle]:
    """The bundle of a folder, a model or an archive, with what is given instead.

    The files of an archive are there while the context lasts.

    Args:
        path: see :func:`espnet.asr.transcribe.load`.
        given: keys of Bundle.
    """
    if not is_archive(path):
        yield bundle_of(path, given)
        return
    with tempfile.TemporaryDirectory(prefix="espnet-") as folder:
        yield changed(read_bundle(unpack(path, folder)), given)


def is_archive(path: str | Path) -> bool:
    """Whether a file is one that :func:`unpack` reads (weights are zips too)."""
    path = Path(path)
    return path.is_file() and path.name.endswith((".zip", ".tar.gz", ".tgz"))


def unpack(path: str | Path, folder: str | Path) -> Path:
    """Put the files of an archive into a folder, and check them.

    Nothing is written outside the folder, and nothing that the manifest does not list.

    Returns:
        The ``recogniser.yaml``. An archive of ESPnet1, which has none, gets one.

    Raises:
        UserError: it cannot be read, or a file in it is damaged, missing, not in the
            manifest, or would be written elsewhere. The message names the file.
    """
    path, folder = Path(path), Path(folder)
    found: dict[str, dict[str, str | int]] = {}
    member = MANIFEST
    try:
        for member, stream in _members(path):
            target = folder / _safe(member, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as out:
                while block := stream.read(BLOCK):
                    out.write(block)
            found[member] = _sums(target)
    except UNREADABLE as error:
        raise UserError(
            f"{path}: is damaged: {member} cannot be read ({error}); get the file again"
        ) from None
    if MANIFEST not in found:
        return _foreign(path, folder, list(found))
    _check(path, folder, found)
    if NAME not in found:
        raise UserError(f"{path}: has no {NAME}; pack it anew with pack_model.sh")
    return folder / NAME


def _members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file in an archive, one after the other."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as stream:
                        yield info.filename, stream
        return
    with tarfile.open(path, "r|gz") as tar:
        for item in tar:
            if item.isdir():
                continue
            content = tar.extractfile(item) if item.isfile() else None
            if content is None:
                raise UserError(
                    f"{path}: {item.name}: is a link or a device, which an archive of "
                    "a model has no need of; it is not unpacked"
                )
            yield item.name, content


def _safe(name: str, path: Path) -> Path:
    """The name of a file in an archive, if it stays below the folder."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name or not parts.parts:
        raise UserError(
            f"{path}: {name}: leads out of the folder that it is unpacked to; somebody "
            "may mean harm, so nothing of this file is used"
        )
    return Path(*parts.parts)


def _check(
    path: Path, folder: Path, found: Mapping[str, Mapping[str, str | int]]
) -> None:
    """Compare what was unpacked with the manifest.

    Raises:
        UserError: they differ; the first file that does is named.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = dict(content["files"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: {MANIFEST} is damaged; get the file again") from None
    for name, sums in listed.items():
        if name not in found:
            raise UserError(f"{path}: {name} is missing; get the file again")
        if dict(found[name]) != sums:
            raise UserError(
                f"{path}: {name} is damaged: its SHA-256 sum is not the one in "
                f"{MANIFEST}; get the file again"
            )
    strange = [name for name in found if name not in listed and name != MANIFEST]
    if strange:
        raise UserError(
            f"{path}: {strange[0]} is not in {MANIFEST}; was the archive changed?"
        )


def _foreign(path: Path, folder: Path, names: Sequence[str]) -> Path:
    """Describe an archive of ESPnet1, whose files are known by their names.

    Raises:
        UserError: it has no model, or several.
    """

    def the(*patterns: str) -> str | None:
        hits = [n for n in sorted(names) for p in patterns if PurePosixPath(n).match(p)]
        return hits[0] if hits else None

    model = the("model.*best", "model.*.best", "snapshot.ep.*")
    if model is None:
        raise UserError(
            f"{path}: has neither {MANIFEST} nor a model (model.*.best); pack one with "
            "pack_model.sh"
        )
    conf = folder / Path(model).with_name("model.json")
    args = load_trained_config(str(conf)).args if conf.is_file() else {}
    preprocess = args.get("preprocess_conf")
    fbank, pitch = the("fbank.conf"), the("pitch.conf")
    for name, text in (("fbank.conf", USUAL_FBANK), ("pitch.conf", USUAL_PITCH)):
        if not (folder / (the(name) or name)).exists():
            (folder / name).write_text(text, encoding="utf-8")
    logging.warning(
        "%s: is an archive of ESPnet1, without checksums: what its files are is told "
        "by their names%s",
        path,
        "" if fbank else ", and 80 filter banks with pitch at 16 kHz are assumed",
    )
    lm = the("rnnlm.model.best", "rnnlm*.best")
    lm_key = "word_rnnlm" if lm and _is_of_words(folder / lm, conf) else "rnnlm"
    language_model: dict[str, Any] = {lm_key: lm}
    bundle = Bundle(
        model=model,
        fbank_config=fbank or "fbank.conf",
        pitch_config=pitch or "pitch.conf",
        cmvn=the("cmvn.ark"),
        preprocess_conf=the(PurePosixPath(preprocess).name) if preprocess else None,
        bpemodel=the("*bpe*.model", "*unigram*.model"),
        decode_config=the("decode*.yaml"),
        **language_model,
    )
    bundle.save(folder / NAME)
    return folder / NAME
