"""Decoding a data.json with a trained recogniser."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet.asr.language import language_scorers
from espnet.asr.load import TrainedConfig, load_trained_model
from espnet.asr.recog_options import RecogOptions
from espnet.data.dataset import Transform, UtteranceReader
from espnet.data.manifest import Utts, load_manifest, save_json, shorten
from espnet.nets.asr_interface import ASRInterface
from espnet.nets.beam_search import Hypothesis, Outcome, Scorer
from espnet.nets.decode import Search, make_search
from espnet.nets.search_options import SearchOptions
from espnet.train.start import set_up_torch
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import make_folder_of

FRAME_SHIFT = 0.01  # seconds; data.json does not say it
PROGRESS_INTERVAL = 5.0  # seconds between two progress lines
DTYPES = {
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
}


def recognize(options: RecogOptions, search_options: SearchOptions) -> None:
    """Decode every utterance of ``recog_json`` and write ``result_label``.

    Raises:
        UserError: no GPU, a model that cannot be loaded, unreadable features, no right
            to write results.
        DataError: data.json has problems, or features of another size than the model's.
    """
    set_up_torch(options.seed, options.debugmode)
    device = choose_device(options.ngpu)
    utts = load_manifest(options.recog_json, need_output=False)
    model, config = load_trained_model(
        options.model, options.model_conf, options.trust_checkpoint
    )
    transform = make_transform(options.preprocess_conf, config, options.model)
    if transform is None:
        check_dimensions(utts, config.idim, options.recog_json)
    make_folder_of(options.result_label)  # not only after all is decoded
    dtype = DTYPES[options.dtype]
    model.to(device=device, dtype=dtype)
    scorers: dict[str, Scorer] = {
        **model.scorers(),
        **language_scorers(options, config.char_list, device, dtype),
    }
    search = make_search(scorers, config.odim, search_options, model.minlen_of_output)
    reader = UtteranceReader(transform, idim=config.idim)
    recognizer = Recognizer(model, search, config, reader)
    results = {}
    progress = Progress(utts)
    for ids in make_batches(utts, options.batchsize):
        decoded = recognizer.decode({utt: utts[utt] for utt in ids})
        for utt, outcome in decoded.outcomes.items():
            progress.next_utterance(utt)
            log_outcome(utt, outcome, search.weights)
            results[utt] = result_entry(utts[utt], outcome.nbest, config.char_list)
            log_texts(results[utt])
        progress.batch_done(ids, decoded.frames)
    progress.report(force=True)
    save_json({"utts": dict(sorted(results.items()))}, options.result_label)


def choose_device(ngpu: int) -> torch.device:
    """The CPU, or the first GPU that is visible.

    Raises:
        UserError: there is no GPU.
    """
    if ngpu == 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(
            f"--ngpu: {ngpu}: torch {torch.__version__} sees no GPU here; use --ngpu 0 "
            f"to decode on the CPU"
        )
    if ngpu > 1:
        logging.warning("--ngpu %d: a decoding job uses one GPU; run more jobs", ngpu)
    return torch.device("cuda")


def make_transform(
    given: str | None, config: TrainedConfig, model: str
) -> Transform | None:
    """On-the-fly preprocessing as in training, without augmentation; None for none.

    Raises:
        UserError: the file that model.json names is not there.
    """
    conf = given or config.args.get("preprocess_conf")
    if not conf:
        return None
    if not Path(conf).is_file():
        where = "--preprocess-conf" if given else f"preprocess_conf of {model}"
        raise UserError(
            f"{where}: no file '{conf}'; name the model's preprocessing with "
            f"--preprocess-conf"
        )
    from espnet.transform.transformation import Transformation  # for those who use it

    return Transformation(conf)


def check_dimensions(utts: Utts, idim: int, path: str) -> None:
    """Compare the feature size D that data.json states with the model's.

    Raises:
        DataError: one line for each utterance that differs.
    """
    problems = [
        f"{path}: utterance '{utt}': {dimension_problem(shape[-1], idim)}"
        for utt, shape in ((utt, e["input"][0]["shape"]) for utt, e in utts.items())
        if len(shape) == 2 and shape[-1] != idim
    ]
    if problems:
        raise DataError(shorten(problems, 10))


def dimension_problem(found: int, idim: int) -> str:
    """The sentence that features of another size deserve."""
    return (
        f"features have dimension {found}, the model was trained with {idim}; make "
        f"them as for training (same fbank and pitch settings, same options of dump.sh)"
    )


def make_batches(utts: Utts, batchsize: int) -> Iterator[list[str]]:
    """Ids that are decoded together; several of them are of like length."""
    ids = list(utts)
    size = max(1, batchsize)
    if size > 1:
        ids.sort(key=lambda utt: -utts[utt]["input"][0]["shape"][0])
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


@dataclass(frozen=True)
class Decoded:
    """What a batch gave, and its input frames in all."""

    outcomes: dict[str, Outcome]
    frames: int


@dataclass(frozen=True)
class Recognizer:
    """From entries of data.json to hypotheses."""

    model: ASRInterface
    search: Search
    config: TrainedConfig
    reader: UtteranceReader

    def decode(self, batch: Utts) -> Decoded:
        """Decode some utterances together.

        Raises:
            UserError: features that cannot be read or do not fit the model, or one
                utterance alone does not fit into the memory of the GPU.
        """
        xs = [self.reader.features(utt, entry) for utt, entry in batch.items()]
        outcomes = self._search(list(batch), xs)
        return Decoded(dict(zip(batch, outcomes, strict=True)), sum(map(len, xs)))

    @torch.no_grad()
    def _search(self, ids: list[str], xs: list[np.ndarray]) -> list[Outcome]:
        """Encode and search; where the GPU's memory is too small, in two halves."""
        try:
            memory, lengths = self.model.encode_list(xs)
            self._check_encoded(ids, xs, memory, lengths)
            return self.search(memory, lengths)
        except torch.OutOfMemoryError as error:
            if len(ids) == 1:
                raise UserError(
                    f"utterance '{ids[0]}': its {len(xs[0])} frames do not fit into "
                    f"the GPU's memory; use a smaller --beam-size, or --ngpu 0"
                ) from error
        logging.warning(
            "%d utterances together do not fit into the GPU's memory; trying half of "
            "them (a smaller --batchsize avoids this)",
            len(ids),
        )
        torch.cuda.empty_cache()
        half = len(ids) // 2
        return [
            *self._search(ids[:half], xs[:half]),
            *self._search(ids[half:], xs[half:]),
        ]

    def _check_encoded(
        self, ids: list[str], xs: list[np.ndarray], memory: Tensor, lengths: Tensor
    ) -> None:
        """Refuse what cannot be searched.

        Raises:
            UserError: an utterance is too short for the encoder, or its encoder output
                is not finite.
        """
        finite = memory.isfinite().flatten(1).all(1).tolist()
        for utt, x, length, good in zip(ids, xs, lengths.tolist(), finite, strict=True):
            if length < 1:
                raise UserError(
                    f"utterance '{utt}': {len(x)} frames are too few for the encoder, "
                    f"which makes one of {self.model.get_total_subsampling_factor()}; "
                    f"drop it from the data"
                )
            if not good:
                raise UserError(
                    f"utterance '{utt}': the encoder's output is not finite; the "
                    f"features or the model hold nan, or --dtype is too small"
                )


class Progress:
    """Logs utterances done, real-time factor and time left.

    Args:
        utts: all that will be decoded.
        clock: seconds.
    """

    def __init__(self, utts: Utts, clock: Callable[[], float] = time.monotonic) -> None:
        self.lengths = {utt: e["input"][0]["shape"][0] for utt, e in utts.items()}
        self.left = sum(self.lengths.values())  # in the unit of data.json
        self.all = self.left
        self.started = 0
        self.done = 0
        self.frames = 0
        self.clock = clock
        self.begin = self.last = clock()

    def next_utterance(self, utt: str) -> None:
        """Say which one the next lines are about."""
        self.started += 1
        logging.info("(%d/%d) decoding %s", self.started, len(self.lengths), utt)

    def batch_done(self, ids: Sequence[str], frames: int) -> None:
        """Count utterances, and their frames after preprocessing."""
        self.done += len(ids)
        self.frames += frames
        self.left -= sum(self.lengths[utt] for utt in ids)
        self.report()

    def report(self, force: bool = False) -> None:
        """Log a line, unless the last one is fresh."""
        now = self.clock()
        if now - self.last < PROGRESS_INTERVAL and not force:
            return
        self.last = now
        spent = now - self.begin
        left = spent * self.left / max(1, self.all - self.left)
        logging.info(
            "%d/%d utterances done in %s, real-time factor %.3f (frame shift of 10 ms "
            "assumed), %s left",
            self.done,
            len(self.lengths),
            timedelta(seconds=round(spent)),
            spent / max(FRAME_SHIFT, self.frames * FRAME_SHIFT),
            timedelta(seconds=round(left)),
        )


def log_outcome(utt: str, outcome: Outcome, weights: Mapping[str, float]) -> None:
    """Log limits and the best hypothesis's score."""
    best = outcome.nbest[0]
    logging.info("input lengths: %d", outcome.frames)
    logging.info("max output length: %d", outcome.longest)
    logging.info("min output length: %d", outcome.shortest)
    for name, score in best.parts.items():
        weight = weights[name]
        logging.info("%.2f * %g = %.2f for %s", score, weight, score * weight, name)
    logging.info("total log probability: %.2f", best.score)
    logging.info("normalized log probability: %.2f", best.score / len(best.yseq))
    logging.info("total number of ended hypotheses: %d", outcome.ended)
    if outcome.cut:
        logging.warning(
            "%s: the best hypothesis was cut at %d tokens, the max output length; a "
            "larger --maxlenratio allows more",
            utt,
            outcome.longest,
        )


def log_texts(result: Mapping[str, Any]) -> None:
    """Log reference, if there is one, and best hypothesis."""
    best = result["output"][0]
    if "text" in best:
        logging.info("groundtruth: %s", best["text"])
    logging.info("prediction : %s", best["rec_text"])


def result_entry(
    entry: Mapping[str, Any], nbest: Sequence[Hypothesis], char_list: Sequence[str]
) -> dict[str, Any]:
    """The entry of one utterance in the JSON of results.

    Args:
        entry: of data.json; its first output is the reference, if it has one.
        nbest: best first.
        char_list: the tokens by id.
    """
    reference = (entry.get("output") or [{}])[0]
    outputs = []
    for n, hypothesis in enumerate(nbest, 1):
        ids = hypothesis.yseq[1:]
        tokens = [char_list[i] for i in ids]
        output = {
            **reference,
            "name": f"{reference.get('name', '')}[{n}]",
            "rec_text": "".join(tokens).replace("<space>", " "),
            "rec_token": " ".join(tokens),
            "rec_tokenid": " ".join(map(str, ids)),
            "score": hypothesis.score,
        }
        outputs.append(output)
    result: dict[str, Any] = {"output": outputs}
    if "utt2spk" in entry:
        result["utt2spk"] = entry["utt2spk"]
    return result
