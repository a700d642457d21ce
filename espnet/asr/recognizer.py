"""A trained recogniser and its search: from features to hypotheses."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet.asr.align import (
    TOKEN_AFTER,
    TOKEN_BEFORE,
    Alignment,
    TooShort,
    align,
    align_transducer,
    spread,
)
from espnet.asr.confidence import spoken, token_confidences
from espnet.asr.language import language_scorers
from espnet.asr.pieces import cut_features, join_outcomes
from espnet.asr.quantize import quantize_loaded
from espnet.asr.recog_options import RecogOptions
from espnet.asr.stream_search import Streaming, make_streaming
from espnet.asr.trained import TrainedConfig, load_trained_model
from espnet.asr.words import TimedToken
from espnet.data.dataset import Transform, UtteranceReader
from espnet.nets.asr_interface import ASRInterface
from espnet.nets.beam_search import Scorer
from espnet.nets.decode import Search, make_search
from espnet.nets.hypotheses import Outcome
from espnet.nets.scorer_interface import TransducerScorer
from espnet.nets.search_options import SearchOptions
from espnet.scoring.calibration import ConfidenceMap
from espnet.text.dictionary import SPACE
from espnet.utils.errors import UserError

DTYPES = {
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
}


@dataclass(frozen=True)
class Heard:
    """What was recognised in an utterance.

    Attributes:
        outcome: the search's hypotheses.
        tokens: those of the best one, with times in input frames; None where they were
            not asked for or cannot be known.
        frames: input frames.
    """

    outcome: Outcome
    tokens: list[TimedToken] | None
    frames: int


@dataclass(frozen=True)
class Recognizer:
    """A model, its search, and how features come to it.

    Attributes:
        model: ready to be used.
        search: with the scorers of the model, and perhaps language models.
        config: what model.json says.
        reader: reads entries of data.json.
        streaming: finds what is searched while it reads; None: whole utterances.
        calibration: what confidences go through.
        frame_seconds: from input frame to input frame.
        timed: whether tokens get times and confidences.
        longest: input frames; longer utterances are cut at quiet places. 0: never.
        batchsize: pieces of a cut utterance that are decoded together.
    """

    model: ASRInterface
    search: Search
    config: TrainedConfig
    reader: UtteranceReader
    streaming: Streaming | None = None
    calibration: ConfidenceMap = ConfidenceMap()
    frame_seconds: float = 0.01
    timed: bool = False
    longest: int = 0
    batchsize: int = 1

    def listen(self, ids: Sequence[str], xs: Sequence[np.ndarray]) -> list[Heard]:
        """Decode the features (T, D) of some utterances together.

        Raises:
            UserError: features that do not fit the model, or one utterance alone does
                not fit into the memory of the GPU.
        """
        for x in xs:  # calculate_rtf.py reads the times of these lines
            logging.info("speech length: %d", len(x))
        if not any(0 < self.longest < len(x) for x in xs):
            return self._decode(list(ids), list(xs))
        return [self._in_pieces(utt, x) for utt, x in zip(ids, xs, strict=True)]

    def _in_pieces(self, utt: str, x: np.ndarray) -> Heard:
        """Decode an utterance piece by piece, and join what was heard."""
        cuts = [0, *cut_features(x, self.longest), len(x)]
        pieces = [x[a:b] for a, b in pairwise(cuts)]
        heard: list[Heard] = []
        size = max(1, self.batchsize)
        for start in range(0, len(pieces), size):
            group = pieces[start : start + size]
            heard += self._decode([utt] * len(group), group)
        return join_heard(heard, cuts, self.config.char_list)

    @torch.no_grad()
    def _decode(self, ids: list[str], xs: list[np.ndarray]) -> list[Heard]:
        """Encode and search; where the GPU's memory is too small, in two halves."""
        try:
            if self.streaming is not None:
                return [
                    Heard(self._search_pieces(self.streaming, utt, x), None, len(x))
                    for utt, x in zip(ids, xs, strict=True)
                ]
            memory, lengths = self._encode(ids, xs)
            self._check_encoded(ids, xs, memory, lengths)
            outcomes = self.search(memory, lengths)
            tokens = self._times(ids, xs, memory, lengths, outcomes)
            rows = zip(outcomes, tokens, xs, strict=True)
            return [Heard(outcome, timed, len(x)) for outcome, timed, x in rows]
        except torch.OutOfMemoryError as error:
            if len(ids) == 1:
                raise UserError(
                    f"utterance '{ids[0]}': its {len(xs[0])} frames do not fit into "
                    f"the GPU's memory; use a smaller --beam-size, --segment-seconds, "
                    f"or --ngpu 0"
                ) from error
        logging.warning(
            "%d utterances together do not fit into the GPU's memory; trying half of "
            "them (a smaller --batchsize avoids this)",
            len(ids),
        )
        torch.cuda.empty_cache()
        half = len(ids) // 2
        return [
            *self._decode(ids[:half], xs[:half]),
            *self._decode(ids[half:], xs[half:]),
        ]

    def _encode(self, ids: list[str], xs: list[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Encoder output (B, T', E) and its lengths (B,); errors name an utterance."""
        try:
            return self.model.encode_list(xs)
        except UserError as error:
            if len(ids) == 1:
                raise UserError(f"utterance '{ids[0]}': {error}") from None
            for utt, x in zip(ids, xs, strict=True):  # which one is it?
                self._encode([utt], [x])
            raise

    def _search_pieces(self, streaming: Streaming, utt: str, x: np.ndarray) -> Outcome:
        """Encode piece by piece, and search each segment that was found."""
        reference = next(self.model.parameters())
        pieces = streaming.cut(torch.as_tensor(x).to(reference))
        if not pieces:
            return streaming.join([])
        memory = pad_sequence(pieces, batch_first=True)
        lengths = torch.tensor([len(hs) for hs in pieces], device=memory.device)
        count = len(pieces)
        self._check_encoded([utt] * count, [x] * count, memory, lengths)
        return streaming.join(self.search(memory, lengths))

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

    def _times(
        self,
        ids: list[str],
        xs: list[np.ndarray],
        memory: Tensor,
        lengths: Tensor,
        outcomes: list[Outcome],
    ) -> Iterator[list[TimedToken] | None]:
        """The tokens of each best hypothesis with times, if they are wanted."""
        if not self.timed:
            yield from [None] * len(ids)
            return
        log_probs = self.model.ctc_log_probs(memory)
        for row, (utt, x, outcome) in enumerate(zip(ids, xs, outcomes, strict=True)):
            end = int(lengths[row])
            scores = None if log_probs is None else log_probs[row, :end]
            best = spoken(outcome.nbest[0].yseq, self.config.odim)
            alignment = self._align(utt, best, memory[row, :end], scores)
            yield self._timed_tokens(outcome, best, alignment, len(x))

    def _timed_tokens(
        self,
        outcome: Outcome,
        best: list[int],
        alignment: Alignment | None,
        frames: int,
    ) -> list[TimedToken]:
        sure = self.calibration(
            token_confidences(outcome, alignment, self.config.odim)
        ).tolist()
        names = [self.config.char_list[i] for i in best]
        if alignment is None:
            return [
                TimedToken(name, None, None, c)
                for name, c in zip(names, sure, strict=True)
            ]
        factor = self.model.get_total_subsampling_factor()
        frame = factor * self.frame_seconds
        starts, ends = alignment.boundaries(TOKEN_BEFORE / frame, TOKEN_AFTER / frame)
        return [
            TimedToken(name, float(a * factor), float(min(b * factor, frames)), c)
            for name, a, b, c in zip(names, starts, ends, sure, strict=True)
        ]

    def _align(
        self, utt: str, ids: list[int], memory: Tensor, log_probs: Tensor | None
    ) -> Alignment | None:
        """Where the tokens of a hypothesis are; None if the model cannot tell."""
        transducer = self.model.scorers().get("transducer")
        if log_probs is not None:
            try:
                return align(log_probs.float().cpu().numpy(), ids)
            except TooShort as error:
                logging.warning(
                    "utterance '%s': %s; the times of its words are a guess", utt, error
                )
                return spread(log_probs.shape[0], len(ids))
        if isinstance(transducer, TransducerScorer):
            return align_transducer(transducer, memory, ids)
        return None

    def tells_times(self) -> bool:
        """Whether the model knows when something was said."""
        return not {"ctc", "transducer"}.isdisjoint(self.model.scorers())


def join_heard(
    heard: Sequence[Heard], cuts: Sequence[float], char_list: Sequence[str]
) -> Heard:
    """What was heard in an utterance whose pieces begin at the frames ``cuts``."""
    space = char_list.index(SPACE) if SPACE in char_list else None
    outcome = join_outcomes([piece.outcome for piece in heard], space)
    tokens: list[TimedToken] | None = []
    for piece, start in zip(heard, cuts, strict=False):
        if piece.tokens is None or tokens is None:
            tokens = None
            continue
        if space is not None and tokens and piece.tokens:
            tokens.append(TimedToken(SPACE, start, start, 1.0))
        tokens += [token.moved(offset=start) for token in piece.tokens]
    return Heard(outcome, tokens, sum(piece.frames for piece in heard))


def load_recognizer(options: RecogOptions, search_options: SearchOptions) -> Recognizer:
    """Load the model, its preprocessing and the language models that options name.

    Raises:
        UserError: no GPU, or a file is missing or of another kind.
        DataError: one line for each parameter that does not fit.
    """
    device = choose_device(options.ngpu)
    model, config = load_trained_model(
        options.model, options.model_conf, options.trust_checkpoint
    )
    transform = make_transform(options.preprocess_conf, config, options.model)
    dtype = DTYPES[options.dtype]
    model.to(device=device, dtype=dtype)
    if options.quantize_asr_model:
        quantize_loaded(model, options, f"--model {options.model}")
    model = model.prepared()
    scorers: dict[str, Scorer] = {
        **model.scorers(),
        **language_scorers(options, config.char_list, device, dtype),
    }
    batched = options.batchsize > 0 and not options.streaming_mode
    rules = model.search_rules(search_options.api, batched)
    search = make_search(scorers, config.odim, search_options, rules)
    reader = UtteranceReader(transform, idim=config.idim)
    streaming = make_streaming(model, options, search_options, config.char_list)
    return Recognizer(
        *(model, search, config, reader, streaming),
        calibration=ConfidenceMap(*options.confidence),
        batchsize=options.batchsize,
    )


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


def dimension_problem(found: int, idim: int) -> str:
    """The sentence that features of another size deserve."""
    return (
        f"features have dimension {found}, the model was trained with {idim}; make "
        f"them as for training (same fbank and pitch settings, same options of dump.sh)"
    )
