"""Checks of the data before training: every problem at once, not one per attempt."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from espnet.asr.train_options import TrainOptions
from espnet.data.loading import LOADERS, file_of
from espnet.data.manifest import Utts, dimensions, load_manifest, shorten
from espnet.nets.asr_interface import ASRInterface
from espnet.text.dictionary import Dictionary
from espnet.utils.errors import DataError, UserError, one_of

MAX_NAMED = 10
# convolutions at the input shorten an utterance by a few frames more than their factor
UNSURE_FRAMES = 4


@dataclass
class Corpus:
    """The data of a training.

    Attributes:
        train: utterances to train on.
        valid: utterances to validate on.
        idim: feature dimension; a list of them for models of several inputs.
        odim: size of the output layer.
        char_list: token of each output.
    """

    train: Utts
    valid: Utts
    idim: int | list[int]
    odim: int
    char_list: list[str]

    @property
    def idims(self) -> list[int]:
        """The feature dimension of each input."""
        return [self.idim] if isinstance(self.idim, int) else self.idim


def checked_corpus(options: TrainOptions) -> Corpus:
    """Read dictionary and data, and check that they fit together.

    Raises:
        UserError: a file is missing or wrong.
        DataError: one line for each problem of an utterance.
    """
    for flag, value in (
        ("train-json", options.train_json),
        ("valid-json", options.valid_json),
    ):
        if not value:
            raise UserError(f"option --{flag} is missing: the data.json of stage 2")
    dictionary = Dictionary.load(options.dict)
    train_json, valid_json = str(options.train_json), str(options.valid_json)
    train, valid = load_manifest(train_json), load_manifest(valid_json)
    idim, odim = dimensions(valid, valid_json)
    idims = [idim, *_further(valid, valid_json, options.num_encs)]
    if odim != dictionary.odim:
        raise UserError(
            f"{options.dict}: has {len(dictionary.tokens)} tokens, which makes "
            f"{dictionary.odim} outputs, but {valid_json} was made for {odim}; make it "
            "again with this dictionary (stage 2)"
        )
    known: dict[str, bool] = {}
    problems = [
        f"{path}: utterance '{uttid}': {problem}"
        for path, utts in ((train_json, train), (valid_json, valid))
        for uttid, entry in utts.items()
        for problem in _problems(entry, idims, odim, known)
    ]
    if problems:
        raise DataError(shorten(problems))
    chosen = idims if len(idims) > 1 else idim
    return Corpus(train, valid, chosen, odim, dictionary.char_list)


def _further(utts: Utts, path: str, count: int) -> list[int]:
    """Feature dimensions of the inputs after the first.

    Raises:
        UserError: the first utterance has fewer inputs than ``count``.
    """
    uttid, entry = next(iter(utts.items()))
    if len(entry["input"]) < count:
        raise UserError(
            f"num-encs: {count}: utterance '{uttid}' of {path} has "
            f"{len(entry['input'])} inputs; make the file with data2json.sh --feat "
            "a.scp,b.scp"
        )
    return [int(source["shape"][-1]) for source in entry["input"][1:count]]


def _problems(
    entry: dict[str, Any], idims: list[int], odim: int, known: dict[str, bool]
) -> Iterator[str]:
    """What is wrong with one utterance; ``known`` keeps which files exist."""
    if len(entry["input"]) != len(idims):
        yield (
            f"has {len(entry['input'])} inputs, the model {len(idims)} (--num-encs); "
            "use data of as many"
        )
    for source, idim in zip(entry["input"], idims, strict=False):
        yield from _source_problems(source, idim, known)
    tokens = entry["output"][0].get("tokenid")
    if tokens is None:
        yield "output[0].tokenid is missing; make the file with data2json.sh"
        return
    highest = max(map(int, tokens.split()), default=0)
    if highest >= odim - 1:
        yield (
            f"token id {highest} is not in the dictionary, whose ids end at "
            f"{odim - 2}; make the file again with it (stage 2)"
        )


def _source_problems(
    source: dict[str, Any], idim: int, known: dict[str, bool]
) -> Iterator[str]:
    """What is wrong with one input of an utterance."""
    place, kind, shape = source["feat"], source.get("filetype", "mat"), source["shape"]
    if kind not in LOADERS:
        yield one_of("filetype", kind, LOADERS)
        return
    if len(shape) != 2:
        yield (
            f"shape {shape} is not that of features (frames, dimension); if it is "
            "sound, give data2json.sh the --preprocess-conf of training"
        )
    elif shape[-1] != idim:
        yield (
            f"features have dimension {shape[-1]}, the model's input has {idim} (from "
            "the first utterance of --valid-json); use the same features"
        )
    path = file_of(place, kind)
    if path not in known:
        known[path] = os.path.exists(path) or place.rstrip().endswith("|")
        if not known[path]:
            yield (
                f"feature file '{path}' does not exist; start in the recipe's folder, "
                "or make the features again (stage 1)"
            )


def drop_unusable(
    corpus: Corpus, lengths: OutputLengths, options: TrainOptions
) -> None:
    """Take out utterances that no model could learn from, and name them.

    These are the ones without transcript, and those whose labels do not fit into the
    encoder's frames, for which the CTC loss is infinite.

    Args:
        corpus: loses them.
        lengths: knows the encoder's frames.
        options: name the files.

    Raises:
        DataError: nothing is left.
    """
    for path, utts in (
        (options.train_json, corpus.train),
        (options.valid_json, corpus.valid),
    ):
        empty, long = [], []
        for uttid, entry in utts.items():
            ids = entry["output"][0]["tokenid"].split()
            frames = entry["input"][0]["shape"][0]
            if not ids:
                empty.append(uttid)
            elif not lengths.hold(frames, _least_frames(ids, lengths.has_ctc)):
                long.append(uttid)
        for uttids, problem in (
            (empty, "have an empty transcript"),
            (long, "have more labels than the encoder has frames for"),
        ):
            for uttid in uttids:
                del utts[uttid]
            if uttids:
                names = ", ".join(uttids[:MAX_NAMED])
                more = ", ..." if len(uttids) > MAX_NAMED else ""
                logging.warning(
                    "%s: %d utterances %s and are left out: %s%s",
                    *(path, len(uttids), problem, names, more),
                )
        if not utts:
            raise DataError(
                [
                    f"{path}: no usable utterance is left: {len(empty)} have an empty "
                    f"transcript, {len(long)} more labels than encoder frames "
                    f"(1 per {lengths.factor} of the input)"
                ]
            )


def _least_frames(ids: list[str], has_ctc: bool) -> int:
    """Frames that labels need: CTC separates equal neighbours by a blank."""
    if not has_ctc:
        return 1
    return len(ids) + sum(a == b for a, b in pairwise(ids))


class OutputLengths:
    """How many encoder frames come of how many input frames.

    Far from the limit the subsampling factor tells; near to it the model itself is
    asked, once per length, because kernels without padding cost frames.

    Args:
        model: the recogniser.
        idims: the feature dimension of each of its inputs; of a model of several, only
            the subsampling factor counts.
        has_ctc: its loss has a CTC part.
    """

    def __init__(self, model: ASRInterface, idims: list[int], has_ctc: bool) -> None:
        self.model = model
        self.idims = idims
        self.has_ctc = has_ctc
        self.factor = model.get_total_subsampling_factor()
        self._known: dict[int, int] = {}

    def hold(self, frames: int, needed: int) -> bool:
        """Whether an input of ``frames`` gives ``needed`` encoder frames."""
        if needed <= frames / self.factor - UNSURE_FRAMES:
            return True
        if needed > math.ceil(frames / self.factor):
            return False
        if len(self.idims) > 1:
            return True
        if frames not in self._known:
            self._known[frames] = self._ask(frames)
        return needed <= self._known[frames]

    @torch.no_grad()
    def _ask(self, frames: int) -> int:
        reference = next(self.model.parameters())
        x = torch.zeros(frames, self.idims[0], device=reference.device)
        was_training = self.model.training
        self.model.eval()
        try:
            return len(self.model.encode(x))
        except (UserError, RuntimeError, ValueError, IndexError):  # too short
            return 0
        finally:
            self.model.train(was_training)
