"""Make data.json from a Kaldi data directory, its features and a dictionary."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from espnet.data.ark import iter_shapes, read_scp
from espnet.data.loading import LOADERS, load_features
from espnet.data.manifest import Utts
from espnet.text.dictionary import UNK, Dictionary
from espnet.text.subword import SubwordTokenizer
from espnet.text.tokenizer import TEXT_TOKENIZERS, read_symbols, text_tokenizer
from espnet.transform.transformation import Transformation
from espnet.utils.errors import DataError, UserError, one_of
from espnet.utils.lines import read_table, shorten
from espnet.utils.options import option

IN_ARCHIVES = ("", "mat", "vec")  # their shapes stand in headers
KINDS_SHOWN = 20  # unknown tokens that are printed


@dataclass(frozen=True)
class TokenOptions:
    """How transcripts become tokens; an empty text means not given."""

    text: str = option("", "transcripts (default: text of the data directory)")
    nlsyms: str = option("", "file of non-linguistic symbols kept whole (char only)")
    trans_type: str = option("char", "kind of transcript", choices=TEXT_TOKENIZERS)
    bpecode: str = option("", "sentencepiece model: tokens are its pieces")
    oov: str = option(UNK, "token that stands for those not in the dictionary")
    multilingual: bool = option(
        False,
        "the first token names the language: drop it and "
        "take the language from the last '-' part of the utterance id",
    )
    allow_one_column: bool = option(False, "allow empty transcripts")


@dataclass(frozen=True)
class ManifestOptions(TokenOptions):
    """What data2json.sh can be asked for; an empty text means not given."""

    feat: str = option("", "feats.scp of the input; several with commas between")
    out: str = option("", "data.json to write (default: stdout)")
    lang: str = option("", "language of all utterances")
    category: str = option("", "only utterances of one category share a minibatch")
    filetype: str = option("", f"kind of features: {', '.join(LOADERS)}")
    preprocess_conf: str = option(
        "", "the --preprocess-conf of training: shapes are those of what it makes"
    )
    nj: int = option(1, "files that are read at the same time")
    cmd: str = option("run.pl", "job launcher of ESPnet1's version; here no job is run")
    verbose: int = option(0, "more than 0: say what is done")

    def check(self) -> None:
        """Refuse what cannot be done."""
        if self.filetype and self.filetype not in LOADERS:
            raise UserError(one_of("filetype", self.filetype, LOADERS))
        if self.nj < 1:
            raise UserError(f"nj: {self.nj} must be 1 or more")


def make_manifest(data: Path, dictionary: Dictionary, options: ManifestOptions) -> Utts:
    """Join transcripts, features and speakers into the ``utts`` of a data.json.

    Args:
        data: directory with ``text`` and ``utt2spk``.
        dictionary: gives the ids of the tokens.
        options: see there; without ``feat`` the list of inputs is empty.

    Returns:
        Utterance id -> entry, in the order of the transcripts.

    Raises:
        DataError: every problem of the files: bad or duplicate lines, utterances that
            are in one file only, empty transcripts.
    """
    options.check()
    text = Path(options.text or data / "text")
    scps = [Path(scp) for scp in options.feat.split(",") if scp]
    problems: list[str] = []
    texts = _read(problems, partial(read_table, text, allow_empty=True))
    speakers = _read(problems, partial(read_table, data / "utt2spk"))
    places = [_read(problems, partial(read_scp, scp)) for scp in scps]
    if not problems:
        for path, table in zip(
            [data / "utt2spk", *scps], [speakers, *places], strict=True
        ):
            problems += _only_in_one(text, texts, path, table)
        if not options.allow_one_column:
            problems += _empty(text, texts)
    if problems:
        raise DataError(shorten(problems))

    utts: Utts = {
        utt: {"input": [], "output": [target], "utt2spk": speakers[utt]}
        for utt, target in _targets(texts, dictionary, options)
    }
    for i, (scp, table) in enumerate(zip(scps, places, strict=True), 1):
        for utt, shape in _checked(scp, _shapes(scp, table, options)):
            entry = {"feat": table[utt], "name": f"input{i}", "shape": list(shape)}
            if options.filetype:
                entry["filetype"] = options.filetype
            utts[utt]["input"].append(entry)
    _add_labels(utts, options)
    return utts


def _read(problems: list[str], read: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What ``read`` returns; its complaints are collected, so that all are seen."""
    try:
        return read()
    except UserError as error:
        problems += str(error).splitlines()
        return {}


def _only_in_one(
    text: Path, texts: Mapping[str, str], path: Path, table: Mapping[str, str]
) -> Iterator[str]:
    remedy = "drop it there or make both files again"
    for here, keys, there, others in (
        (text, texts, path, table),
        (path, table, text, texts),
    ):
        for line, utt in enumerate(keys, 1):
            if utt not in others:
                yield f"{here}:{line}: utterance '{utt}' is not in {there}; {remedy}"


def _empty(text: Path, texts: Mapping[str, str]) -> Iterator[str]:
    for line, (utt, words) in enumerate(texts.items(), 1):
        if not words:
            yield (
                f"{text}:{line}: transcript of '{utt}' is empty; drop the utterance or "
                "give --allow-one-column true"
            )


def read_targets(
    data: Path, dictionary: Dictionary, options: TokenOptions
) -> dict[str, dict[str, Any]]:
    """The ``output`` entries of the transcripts of a data directory, by utterance.

    Raises:
        DataError: bad or duplicate lines, empty transcripts.
    """
    path = Path(options.text or data / "text")
    texts = read_table(path, allow_empty=options.allow_one_column)
    return dict(_targets(texts, dictionary, options))


def _targets(
    texts: Mapping[str, str], dictionary: Dictionary, options: TokenOptions
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Utterance id and its target; tells at the end which tokens were unknown."""
    unknown: Counter[str] = Counter()
    for (utt, words), tokens in zip(
        texts.items(), _tokens(texts, options), strict=True
    ):
        tokens = tokens[1:] if options.multilingual else tokens
        unknown.update(token for token in tokens if token not in dictionary)
        ids = dictionary.ids(tokens, options.oov)
        yield (
            utt,
            {
                "name": "target1",
                "shape": [len(ids), dictionary.odim],
                "text": words,
                "token": " ".join(tokens),
                "tokenid": " ".join(map(str, ids)),
            },
        )
    if unknown:
        kinds = [f"'{token}' {n}" for token, n in unknown.most_common(KINDS_SHOWN)]
        more = ", ..." if len(unknown) > KINDS_SHOWN else ""
        logging.warning(
            f"{unknown.total()} tokens ({len(unknown)} kinds) not in {dictionary.path} "
            f"became {options.oov}: {', '.join(kinds)}{more}"
        )


def _tokens(texts: Mapping[str, str], options: TokenOptions) -> Iterator[list[str]]:
    if options.bpecode:
        yield from SubwordTokenizer(options.bpecode).encode(texts.values())
        return
    symbols = read_symbols(options.nlsyms) if options.nlsyms else []
    yield from map(text_tokenizer(options.trans_type, symbols=symbols), texts.values())


def _shapes(
    scp: Path, places: Mapping[str, str], options: ManifestOptions
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Utterance ids and feature shapes; several readers hide a slow disc's wait."""
    items = list(places.items())
    size = max(1, -(-len(items) // options.nj))
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    chain = Transformation(options.preprocess_conf) if options.preprocess_conf else None

    def read(part: list[tuple[str, str]]) -> list[tuple[str, tuple[int, ...]]]:
        if options.filetype in IN_ARCHIVES and chain is None:
            return list(iter_shapes(part))
        return [(utt, load(utt, place).shape) for utt, place in part]

    def load(utt: str, place: str) -> np.ndarray:
        try:
            x = load_features(place, options.filetype or "mat")
            return x if chain is None else chain([x], [utt], train=False)[0]
        except UserError as error:
            raise UserError(f"{utt}: {error}") from None

    with ThreadPoolExecutor(options.nj) as pool:
        try:
            for shapes in pool.map(read, parts):
                yield from shapes
        except UserError as error:
            raise UserError(f"{scp}: {error}") from error


def _checked(
    scp: Path, shapes: Iterable[tuple[str, tuple[int, ...]]]
) -> list[tuple[str, tuple[int, ...]]]:
    """All shapes, if none is empty and all have the same dimensions after the first."""
    shapes = list(shapes)
    problems = []
    for line, (utt, shape) in enumerate(shapes, 1):
        if 0 in shape:
            problems.append(f"{scp}:{line}: features of '{utt}' are empty: {shape}")
        elif shape[1:] != shapes[0][1][1:]:
            problems.append(
                f"{scp}:{line}: features of '{utt}' are {shape}, but those of line 1 "
                f"are {shapes[0][1]}; make them all with the same options"
            )
    if problems:
        raise DataError(shorten(problems))
    return shapes


def _add_labels(utts: Utts, options: ManifestOptions) -> None:
    for utt, entry in utts.items():
        if options.category:
            entry["category"] = options.category
        if options.multilingual:
            entry["lang"] = utt.rpartition("-")[2]
        elif options.lang:
            entry["lang"] = options.lang
