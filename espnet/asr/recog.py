"""Decoding a data.json with a trained recogniser."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from espnet.asr.confidence import spoken
from espnet.asr.recog_options import RecogOptions
from espnet.asr.recognizer import dimension_problem, load_recognizer
from espnet.asr.words import TimedToken, words_of, write_ctm
from espnet.data.manifest import Utts, load_manifest, save_json, shorten
from espnet.nets.hypotheses import Hypothesis, Outcome
from espnet.nets.search_options import SearchOptions
from espnet.train.start import set_up_torch
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import make_folder_of

PROGRESS_INTERVAL = 5.0  # seconds between two progress lines


def recognize(options: RecogOptions, search_options: SearchOptions) -> None:
    """Decode every utterance of ``recog_json`` and write ``result_label``.

    Raises:
        UserError: no GPU, a model that cannot be loaded, unreadable features, no right
            to write results.
        DataError: data.json has problems, or features of another size than the model's.
    """
    set_up_torch(options.seed, options.debugmode)
    utts = load_manifest(options.recog_json, need_output=False)
    shift = options.frame_shift / 1000.0
    searched = search_options
    if options.ctm:  # a confidence needs to know what else could have been said
        count = max(search_options.nbest, search_options.beam_size)
        searched = replace(search_options, nbest=count)
    recognizer = replace(
        load_recognizer(options, searched),
        timed=bool(options.ctm),
        frame_seconds=shift,
        longest=int(options.segment_seconds / shift),
    )
    if options.ctm and not recognizer.tells_times():
        raise UserError(
            f"--ctm: the model {options.model} cannot tell times: it has no CTC "
            "(mtlalpha 0) and is no Transducer; leave the option out"
        )
    config = recognizer.config
    if recognizer.reader.transform is None:
        check_dimensions(utts, config.idim, options.recog_json)
    for path in filter(None, (options.result_label, options.ctm)):
        make_folder_of(path)  # not only after all is decoded
    results = {}
    spoken: dict[str, list[TimedToken]] = {}
    progress = Progress(utts, shift)
    for ids in make_batches(utts, options.batchsize):
        xs = [recognizer.reader.features(utt, utts[utt]) for utt in ids]
        for utt, heard in zip(ids, recognizer.listen(ids, xs), strict=True):
            progress.next_utterance(utt)
            log_outcome(utt, heard.outcome, recognizer.search.weights)
            if search_options.api == "v2":
                log_as_v2(heard.outcome, config.char_list)
            nbest = heard.outcome.nbest[: search_options.nbest]
            results[utt] = result_entry(utts[utt], nbest, config.char_list)
            log_texts(results[utt])
            words = words_of(heard.tokens or [], config.char_list)
            spoken[utt] = [word.moved(shift) for word in words]
        progress.batch_done(ids, sum(map(len, xs)))
    progress.report(force=True)
    save_json({"utts": dict(sorted(results.items()))}, options.result_label)
    if options.ctm:
        write_ctm(spoken, options.ctm)


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


def make_batches(utts: Utts, batchsize: int) -> Iterator[list[str]]:
    """Ids that are decoded together; several of them are of like length."""
    ids = list(utts)
    size = max(1, batchsize)
    if size > 1:
        ids.sort(key=lambda utt: -utts[utt]["input"][0]["shape"][0])
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


class Progress:
    """Logs utterances done, real-time factor and time left.

    Args:
        utts: all that will be decoded.
        frame_shift: seconds from frame to frame.
        clock: seconds.
    """

    def __init__(
        self,
        utts: Utts,
        frame_shift: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lengths = {utt: e["input"][0]["shape"][0] for utt, e in utts.items()}
        self.left = sum(self.lengths.values())  # in the unit of data.json
        self.all = self.left
        self.started = 0
        self.done = 0
        self.frames = 0
        self.clock = clock
        self.frame_shift = frame_shift
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
            "%d/%d utterances done in %s, real-time factor %.3f (frame shift of %g ms "
            "assumed), %s left",
            self.done,
            len(self.lengths),
            timedelta(seconds=round(spent)),
            spent / (max(1, self.frames) * self.frame_shift),
            self.frame_shift * 1000,
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
            "%s: the best hypothesis was cut at %d tokens, the max output length, "
            "which --maxlenratio sets",
            utt,
            outcome.longest,
        )


def log_as_v2(outcome: Outcome, char_list: Sequence[str]) -> None:
    """Log the lines that only ESPnet1's v2 wrote; calculate_rtf.py can look for one."""
    ids = spoken(outcome.nbest[0].yseq, len(char_list))
    logging.info("decoder input length: %d", outcome.frames)
    logging.info("best hypo: %s", "".join(char_list[i] for i in ids))


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
