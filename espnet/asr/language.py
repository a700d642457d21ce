"""The language models that a search weighs beside the recogniser."""

from __future__ import annotations

import json
import logging
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from espnet.asr.quantize import quantize_loaded
from espnet.asr.recog_options import RecogOptions
from espnet.nets.beam_search import Scorer
from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.lm.options import full_name
from espnet.nets.scorer_interface import BatchScorer
from espnet.nets.scorers.lm import LMScorer
from espnet.nets.scorers.ngram import NGRAM_SCORERS, load_ngram
from espnet.nets.scorers.word_lm import LookAheadWordLM, MultiLevelLM
from espnet.text.dictionary import SPACE, Dictionary
from espnet.train.weights import check_finite, load_weights, read_weights
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import UserError


@dataclass(frozen=True)
class LanguageModel:
    """A trained language model.

    Attributes:
        source: option and file, for messages.
        model: ready to be used, on the CPU.
        size: of its vocabulary.
        ids: its vocabulary, token -> id; empty if model.json does not say.
    """

    source: str
    model: LMInterface
    size: int
    ids: dict[str, int]


def language_scorers(
    options: RecogOptions,
    char_list: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Scorer]:
    """The scorers ``lm`` and ``ngram``, if the options name files for them.

    Args:
        options: what to load.
        char_list: the recogniser's tokens by id.
        device: where the models shall run.
        dtype: their number format.

    Raises:
        UserError: a file is missing, of another kind, or of another vocabulary.
        DataError: one line for each parameter, or line of a file, that does not fit.
    """
    scorers: dict[str, Scorer] = {}
    tokens = words = None
    if options.rnnlm:
        tokens = load_language_model(options, "rnnlm")
        check_vocabulary(tokens, char_list)
        make_ready(tokens, options, device, dtype)
        scorers["lm"] = tokens.model.scorer()
    if options.word_rnnlm:
        words = load_language_model(options, "word_rnnlm")
        make_ready(words, options, device, dtype)
        scorers["lm"] = word_scorer(words, options, char_list, device, tokens)
    if options.ngram_model:
        model = load_ngram(options.ngram_model, char_list)
        kind = NGRAM_SCORERS[options.ngram_scorer]
        scorers["ngram"] = kind(model, len(char_list))
    return scorers


def validation_scorers(
    path: str,
    conf: str | None,
    char_list: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Scorer]:
    """The scorer ``lm`` of the search in validation.

    Raises:
        UserError: a file is missing, of another kind, or of another vocabulary.
    """
    options = RecogOptions(
        recog_json="", result_label="", model="", rnnlm=path, rnnlm_conf=conf
    )
    return language_scorers(options, char_list, device, dtype)


def load_language_model(options: RecogOptions, name: str) -> LanguageModel:
    """Load the model that ``--rnnlm`` or ``--word-rnnlm`` names.

    Args:
        options: has the option and that of its model.json.
        name: ``rnnlm`` or ``word_rnnlm``.

    Raises:
        UserError: a file is missing or not a language model.
        DataError: one line for each parameter that does not fit.
    """
    flag = "--" + name.replace("_", "-")
    path = Path(getattr(options, name))
    given = getattr(options, f"{name}_conf")
    conf = Path(given) if given else path.parent / "model.json"
    wanted = f"{flag} wants rnnlm.model.best, rnnlm.model.N or snapshot.ep.N"
    weights = read_weights(path, options.trust_checkpoint, wanted)
    args = read_conf(conf, flag)
    name = args.get("model_module") or "default"
    model_class = dynamic_import(full_name(name), f"{conf}: model_module")
    if not (isinstance(model_class, type) and issubclass(model_class, LMInterface)):
        raise UserError(f"{conf}: model_module '{name}' is not a language model")
    size = args["n_vocab"]
    known = {key: value for key, value in args.items() if value is not None}
    try:
        model = model_class(size, Namespace(**known))  # type: ignore[call-arg]
    except UserError as error:
        raise UserError(f"{conf}: {error}") from None
    module = cast(torch.nn.Module, model)
    remedy = f"give the right {flag} or {flag}-conf"
    load_weights(module, weights, str(path), str(conf), remedy)
    check_finite(module, str(path))
    module.eval()
    ids = args.get("char_list_dict") or {}
    return LanguageModel(f"{flag}: {path}", model, size, ids)


def read_conf(path: Path, flag: str) -> dict[str, Any]:
    """The ``model.json`` of a language model: an object with ``n_vocab``.

    Raises:
        UserError: missing, not JSON, or of another kind of model.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; training writes it beside the "
            f"model, {flag}-conf names another one"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    if isinstance(content, list):
        raise UserError(
            f"{path}: belongs to a recogniser; {flag} wants a language model"
        )
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be an object with the options of training")
    if "n_vocab" not in content and isinstance(content.get("char_list_dict"), dict):
        content["n_vocab"] = len(content["char_list_dict"])
    if not isinstance(content.get("n_vocab"), int):
        raise UserError(f"{path}: has no n_vocab; is it of a language model?")
    if content.get("backend") == "chainer":
        raise UserError(
            f"{path}: is of a Chainer model; only pytorch is built, train it anew"
        )
    return content


def check_vocabulary(model: LanguageModel, char_list: Sequence[str]) -> None:
    """Make sure that both models mean the same token by each id.

    Raises:
        UserError: they do not; the message has both sizes and the first difference.
    """
    theirs: list[str | None] = [None] * model.size
    for token, number in model.ids.items():
        if number < model.size:
            theirs[number] = token
    pairs = list(zip(theirs, char_list, strict=False)) if model.ids else []
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if model.size == len(char_list) and first is None:
        return
    where = ""
    if first is not None:
        where = (
            f"; the first difference is token {first}, '{theirs[first]}' there and "
            f"'{char_list[first]}' in the recogniser"
        )
    raise UserError(
        f"{model.source}: a language model of another vocabulary: it has {model.size} "
        f"tokens, the recogniser {len(char_list)}{where}; train it with the dictionary "
        "of the recogniser (a model of words is for --word-rnnlm)"
    )


def word_scorer(
    model: LanguageModel,
    options: RecogOptions,
    char_list: Sequence[str],
    device: torch.device,
    tokens: LanguageModel | None,
) -> Scorer:
    """The scorer of characters that a model of words gives.

    Args:
        model: of words.
        options: perhaps name its dictionary.
        char_list: the recogniser's tokens by id.
        device: of the models.
        tokens: a model of characters for the multi-level combination, or None.

    Raises:
        UserError: the dictionary is missing, or the model does not read words.
    """
    ids = word_ids(model, options.word_dict)
    if SPACE in ids:
        raise UserError(
            f"{model.source}: is a model of characters, having the token {SPACE}; give "
            "it as --rnnlm"
        )
    reader = model.model.scorer()
    if not (model.model.recurrent and isinstance(reader, LMScorer)):
        raise UserError(
            f"{model.source}: {type(model.model).__name__} cannot be a model of words, "
            "only recurrent ones can: default and seq_rnn"
        )
    if tokens is None:
        return LookAheadWordLM(reader.model, ids, char_list, device)
    inner = tokens.model.scorer()
    if not isinstance(inner, BatchScorer):
        raise UserError(
            f"{tokens.source}: {type(tokens.model).__name__} cannot take part in "
            "--multi-level-lm, only models of the toolkit can"
        )
    return MultiLevelLM(reader.model, ids, char_list, device, subwords=inner)


def word_ids(model: LanguageModel, path: str | None) -> dict[str, int]:
    """The words of a model: from its model.json, or else from ``--word-dict``.

    Raises:
        UserError: they are not known, or not as many as the model's.
    """
    ids = model.ids
    if path:
        listed = {w: i for i, w in enumerate(Dictionary.load(path).char_list)}
        if ids and listed != ids:
            logging.warning(
                "--word-dict: %s differs from the words in the model.json of %s, which "
                "are used",
                path,
                model.source,
            )
        ids = ids or listed
    if not ids:
        raise UserError(
            f"{model.source}: without its dictionary, a model of words cannot be used: "
            "its model.json has no char_list_dict; name the word list with --word-dict"
        )
    if len(ids) != model.size:
        raise UserError(
            f"{model.source}: has {model.size} words, its dictionary {len(ids)}; give "
            "the word list that it was trained with as --word-dict"
        )
    return ids


def make_ready(
    model: LanguageModel,
    options: RecogOptions,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Put a model on a device, in a number format, and quantise it if that is asked.

    Raises:
        UserError: there is nothing to quantise.
    """
    module = cast(torch.nn.Module, model.model)
    module.to(device=device, dtype=dtype)
    if options.quantize_lm_model:
        quantize_loaded(module, options, model.source)
