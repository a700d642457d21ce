"""Speech to text in one call: audio in, text with times and confidences out."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, overload

import numpy as np

from espnet.asr.bundle import KEYS, Bundle, FrontEnd, make_front_end
from espnet.asr.confidence import spoken
from espnet.asr.pack import opened_bundle
from espnet.asr.pieces import cut_audio
from espnet.asr.recog_options import RecogOptions
from espnet.asr.recognizer import Heard, Recognizer, join_heard, load_recognizer
from espnet.asr.words import TimedToken, plain_text, words_of
from espnet.data.audio import INT16
from espnet.data.audio_blocks import AudioBlocks
from espnet.nets.hypotheses import Hypothesis
from espnet.nets.search_options import SearchOptions
from espnet.utils.errors import UserError, did_you_mean
from espnet.utils.option_values import check_values
from espnet.utils.options import parse_options, read_config

# seconds that are decoded in one piece: as much as training had, within these limits
LONGEST = (5.0, 30.0)
USUAL_LONGEST = 20.0  # where it is not known
OPTIONS = (Bundle, RecogOptions, SearchOptions)  # that load() takes
WITHOUT_LM: dict[str, Any] = {  # options of load() that leave language models out
    **dict.fromkeys(("rnnlm", "word_rnnlm", "ngram_model")),
    **dict.fromkeys(("multi_level_lm", "quantize_lm_model"), False),
}
LOUDEST = 32.0  # floats beyond that are not at the scale of -1 to 1


@dataclass(frozen=True)
class Alternative:
    """One of the n best outputs.

    Attributes:
        text: as people write it.
        tokens: of the dictionary.
        ids: theirs.
        score: log-probability under the weights of the search.
    """

    text: str
    tokens: list[str]
    ids: list[int]
    score: float


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording.

    Attributes:
        text: the best output.
        tokens: its tokens with times in seconds and confidences.
        words: likewise.
        confidence: the mean of the words'; 1.0 if there is none.
        nbest: the n best outputs, best first.
        seconds: length of the recording.
        cuts: where it was cut into pieces, in seconds.
    """

    text: str
    tokens: list[TimedToken]
    words: list[TimedToken]
    confidence: float
    nbest: list[Alternative]
    seconds: float
    cuts: list[float]


@dataclass
class _Pending:
    """A recording whose pieces are being decoded."""

    heard: list[Heard]
    starts: list[float]
    seconds: float = 0.0
    complete: bool = False


@dataclass(frozen=True)
class _Piece:
    name: str
    recording: _Pending
    features: np.ndarray


class Transcriber:
    """A recogniser that takes audio; :func:`load` makes it.

    Args:
        recognizer: from features to hypotheses.
        front_end: from samples to features.
        nbest: outputs wanted.
        seconds: longest piece that is decoded at once; 0: any.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        front_end: FrontEnd,
        nbest: int = 1,
        seconds: float = USUAL_LONGEST,
    ) -> None:
        self.recognizer = recognizer
        self.front_end = front_end
        self.nbest = nbest
        self.seconds = seconds
        self.audio = AudioBlocks(front_end.rate, front_end.extractor.audio.channel)

    @overload
    def transcribe(
        self, audio: str | Path | np.ndarray, rate: int | None = None
    ) -> Transcript: ...

    @overload
    def transcribe(
        self, audio: list[str | Path], rate: None = None
    ) -> list[Transcript]: ...

    def transcribe(
        self,
        audio: str | Path | np.ndarray | list[str | Path],
        rate: int | None = None,
    ) -> Transcript | list[Transcript]:
        """What is said in a recording, or in each of several.

        Args:
            audio: a file; a command that prints one and ends in ``|``; samples (N,) or
                (N, channels), either integers of 16 bits or floats from -1 to 1; or a
                list of files, which are decoded together (option ``batchsize``).
            rate: of samples, in Hz.

        Raises:
            UserError: audio that cannot be read, is empty or too short; it is named.
        """
        if isinstance(audio, np.ndarray):
            if rate is None:
                raise UserError("transcribe: samples need their rate in Hz as well")
            blocks = self.audio.of_samples(_scaled(audio), rate, "samples")
            return next(self._run([("samples", blocks)]))
        if isinstance(audio, (str, Path)):
            return next(self._run([(str(audio), self.audio.of_file(audio))]))
        files = ((str(file), self.audio.of_file(file)) for file in audio)
        return list(self._run(files))

    def _run(
        self, recordings: Iterable[tuple[str, Iterator[np.ndarray]]]
    ) -> Iterator[Transcript]:
        """The transcripts in order, as soon as each is known."""
        waiting: list[_Pending] = []
        group: list[_Piece] = []
        size = max(1, self.recognizer.batchsize)
        for piece in chain(self._pieces(recordings, waiting), [None]):
            if piece is not None:
                group.append(piece)
            if len(group) == size or (piece is None and group):
                names = [member.name for member in group]
                heard = self.recognizer.listen(names, [p.features for p in group])
                for member, result in zip(group, heard, strict=True):
                    member.recording.heard.append(result)
                group = []
            while waiting and waiting[0].complete and _all_heard(waiting[0]):
                yield self._transcript(waiting.pop(0))

    def _pieces(
        self,
        recordings: Iterable[tuple[str, Iterator[np.ndarray]]],
        waiting: list[_Pending],
    ) -> Iterator[_Piece]:
        """Read and cut recordings; each is put into ``waiting`` when it begins."""
        rate = self.front_end.rate
        for name, blocks in recordings:
            recording = _Pending([], [])
            waiting.append(recording)
            for start, samples in cut_audio(blocks, rate, self.seconds):
                try:
                    features = self._features(samples, name)
                except UserError as error:
                    raise UserError(f"{name}: {error}") from None
                recording.starts.append(start)
                recording.seconds = start + len(samples) / rate
                yield _Piece(name, recording, features)
            recording.complete = True

    def _features(self, samples: np.ndarray, name: str) -> np.ndarray:
        features = self.front_end(samples)
        reader = self.recognizer.reader
        if reader.transform is not None:
            features = reader.transform([features], [name], train=False)[0]
        found, wanted = features.shape[1], self.recognizer.config.idim
        if found != wanted:
            raise UserError(
                f"features have dimension {found}, the model was trained with "
                f"{wanted}; give it the right feats, fbank_config, pitch_config and "
                "do_delta"
            )
        return features

    def _transcript(self, recording: _Pending) -> Transcript:
        """Join what was heard in the pieces of a recording."""
        shift = self.front_end.frame_shift
        char_list = self.recognizer.config.char_list
        cuts = [start / shift for start in recording.starts]
        heard = join_heard(recording.heard, cuts, char_list)
        tokens = [token.moved(shift) for token in heard.tokens or []]
        words = words_of(tokens, char_list)
        nbest = [self._alternative(h) for h in heard.outcome.nbest[: self.nbest]]
        return Transcript(
            text=nbest[0].text,
            tokens=tokens,
            words=words,
            confidence=float(np.mean([w.confidence for w in words] or [1.0])),
            nbest=nbest,
            seconds=recording.seconds,
            cuts=recording.starts[1:],
        )

    def _alternative(self, hypothesis: Hypothesis) -> Alternative:
        config = self.recognizer.config
        ids = spoken(hypothesis.yseq, config.odim)
        tokens = [config.char_list[i] for i in ids]
        return Alternative(plain_text(tokens), tokens, ids, hypothesis.score)


def _all_heard(recording: _Pending) -> bool:
    return len(recording.heard) == len(recording.starts)


def _scaled(samples: np.ndarray) -> np.ndarray:
    """Samples at the scale of 16-bit integers."""
    if samples.dtype.kind not in "if":
        raise UserError(
            f"transcribe: samples are of type {samples.dtype}; give integers of 16 "
            "bits, or floats from -1 to 1"
        )
    loudest = float(np.abs(samples.astype(np.float64)).max()) if samples.size else 0.0
    if samples.dtype.kind == "i":
        if loudest > INT16:
            raise UserError(
                f"transcribe: integers must have 16 bits, the largest here is "
                f"{loudest:g}; give floats from -1 to 1"
            )
        return samples.astype(np.float32)
    if loudest > LOUDEST:
        raise UserError(
            "transcribe: floats must lie between -1 and 1, the loudest here is "
            f"{loudest:g}; divide by 32768, or give integers of 16 bits"
        )
    return samples.astype(np.float32) * np.float32(INT16)


def load(path: str | Path, **options: Any) -> Transcriber:
    """Load a recogniser that takes audio.

    Args:
        path: an experiment's folder (``exp/...``), a file of weights in its
            ``results/``, or an archive of ``pack_model.sh``.
        options: keys of ``recogniser.yaml`` (:class:`espnet.asr.bundle.Bundle`), such
            as ``cmvn``; options of ``asr_recog.py``, such as ``beam_size`` and
            ``ngpu``, which win over those of the decoding config.

    Raises:
        UserError: a file is missing, damaged or of another kind; an unknown option.
    """
    known = _known_options()
    for name in options:
        if name not in known:
            raise UserError(
                f"load: unknown option '{name}'" + did_you_mean(name, known)
            )
    given = {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}
    check_values(OPTIONS, given)
    about_files: dict[str, Any] = {k: v for k, v in given.items() if k in KEYS}
    with opened_bundle(path, about_files) as bundle:
        return make_transcriber(bundle, given)


def _known_options() -> set[str]:
    return {field.name for kind in OPTIONS for field in dataclasses.fields(kind)}


def make_transcriber(bundle: Bundle, given: Mapping[str, Any]) -> Transcriber:
    """Load what a bundle names.

    Args:
        bundle: the files.
        given: options of asr_recog.py that win over those of the decoding config; those
            that are none, such as ``cmvn``, are in the bundle already.

    Raises:
        UserError: a file is missing or of another kind, or a value is wrong.
    """
    options, search_options = decoding_options(bundle, given)
    if options.streaming_mode:
        raise UserError(
            f"streaming_mode: {options.streaming_mode}: is for asr_recog.py; load with "
            "streaming_mode=None, recordings of any length can be transcribed"
        )
    front_end = make_front_end(bundle)
    count = max(search_options.nbest, search_options.beam_size)
    recognizer = load_recognizer(options, replace(search_options, nbest=count))
    seconds = options.segment_seconds
    if not seconds and "segment_seconds" not in given:
        least, most = LONGEST
        seconds = bundle.longest * front_end.frame_shift or USUAL_LONGEST
        seconds = min(max(seconds, least), most)
    timed = replace(recognizer, timed=True, frame_seconds=front_end.frame_shift)
    return Transcriber(timed, front_end, search_options.nbest, seconds)


def decoding_options(
    bundle: Bundle, given: Mapping[str, Any]
) -> tuple[RecogOptions, SearchOptions]:
    """The options of asr_recog.py: the bundle's decoding config, and what is given."""
    argv = ["--model", bundle.model, "--recog-json", "-", "--result-label", "-"]
    if bundle.decode_config:
        if not Path(bundle.decode_config).is_file():
            raise UserError(f"decode_config: {bundle.decode_config}: no such file")
        argv += ["--config", bundle.decode_config]
    kinds = [RecogOptions, SearchOptions]
    values = vars(parse_options(kinds, argv, prog="load", config_files=True))
    if values["streaming_mode"]:
        logging.warning(
            "%s: streaming_mode: is for asr_recog.py and not used here",
            bundle.decode_config,
        )
        values["streaming_mode"] = None
    names = {field.name for field in dataclasses.fields(RecogOptions)}
    files = {k: v for k, v in dataclasses.asdict(bundle).items() if k in names and v}
    chosen = {**values, **files, **given}
    if not chosen["multi_level_lm"]:  # what is told last replaces the other kind
        for told in ({**files, **given}, given):
            for own, other in (("rnnlm", "word_rnnlm"), ("word_rnnlm", "rnnlm")):
                if told.get(own) and other not in told:
                    chosen[other] = None
    return read_config(RecogOptions, chosen), read_config(SearchOptions, chosen)
