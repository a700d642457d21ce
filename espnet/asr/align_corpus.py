"""Find the segments of a text in recordings: what ``asr_align.py`` does."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from espnet.asr.align import TOKEN_AFTER, TOKEN_BEFORE, Alignment, TooShort, align
from espnet.asr.align_options import AlignOptions
from espnet.asr.bundle import Bundle, make_front_end
from espnet.asr.pieces import cut_audio, cut_features
from espnet.asr.recognizer import DTYPES, choose_device, make_transform
from espnet.asr.trained import TrainedConfig, load_trained_model
from espnet.asr.words import TimedToken, words_of, write_ctm
from espnet.data.audio_blocks import AudioBlocks
from espnet.data.dataset import UtteranceReader
from espnet.data.manifest import Utts, load_manifest, shorten
from espnet.nets.asr_interface import ASRInterface
from espnet.text.dictionary import SPACE
from espnet.text.segmentation import TextCutter
from espnet.train.start import set_up_torch
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import atomic_write, make_folder_of
from espnet.utils.lines import read_lines
from espnet.utils.options import read_config

MARGIN = 0.5  # seconds that a segment may go beyond its first and last token
# how much less than the likeliest symbol of a frame what is outside the text counts: a
# little, so that the text has its first and last tokens from begin to end
OUTSIDE = 0.05
WORD_END, ANYTHING = 1, 2  # kinds of gaps: blank or <space>, and whatever is said
NOTHING = -1e10  # the score of a segment without frames


@dataclass(frozen=True)
class Line:
    """A segment to be found; ``place`` is its ``file:line``."""

    name: str
    text: str
    ids: list[int]
    place: str


@dataclass(frozen=True)
class Piece:
    """Features (T, D) of a part of a recording, and its begin in seconds."""

    start: float
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Segment:
    """A segment that was found; times are in seconds."""

    name: str
    start: float
    end: float
    score: float
    tokens: list[TimedToken]

    def line(self, recording: str) -> str:
        """Its line in the output."""
        times = f"{self.start:.2f} {self.end:.2f}"
        return f"{self.name} {recording} {times} {self.score:.9f}"


def align_corpus(options: AlignOptions) -> None:
    """Align every recording, write ``output`` and the CTM files that are asked for.

    Raises:
        UserError: a file or option is wrong, or the model has no CTC.
        DataError: lines of ``utt_text`` that belong to no recording or have no token
            of the model, recordings that are too short for their text.
    """
    set_up_torch(options.seed, options.debugmode)
    if options.use_dict_blank is not None:
        logging.warning("--use-dict-blank: has no effect; --set-blank names the blank")
    utts = load_manifest(options.data_json, need_output=False)
    aligner, config = load_aligner(options)
    texts = read_texts(options.utt_text, utts, aligner.cutter)
    transform = make_transform(options.preprocess_conf, config, options.model)
    reader = UtteranceReader(transform, idim=config.idim)
    if transform is None:
        aligner.check_lengths(texts, utts)
    for path in (options.output, options.ctm, options.token_ctm):
        if path:
            make_folder_of(path)
    words: dict[str, list[TimedToken]] = {}
    tokens: dict[str, list[TimedToken]] = {}
    with atomic_write(options.output) as stream:
        for number, (utt, lines) in enumerate(texts.items(), 1):
            logging.info("(%d/%d) Aligning %s", number, len(texts), utt)
            pieces = aligner.cut(reader.features(utt, utts[utt]))
            found = aligner.segments(utt, pieces, lines)
            words[utt] = aligner.words(found)
            tokens[utt] = [token for segment in found for token in segment.tokens]
            stream.writelines(f"{segment.line(utt)}\n" for segment in found)
    if options.ctm:
        write_ctm(words, options.ctm)
    if options.token_ctm:
        write_ctm(tokens, options.token_ctm)


def align_recording(
    bundle: Bundle, audio: str, values: Namespace
) -> tuple[list[Segment], list[TimedToken]]:
    """Align a recording with all lines of ``utt_text``.

    Args:
        bundle: the model and how its features are made.
        audio: a file of any length.
        values: of AlignOptions.

    Returns:
        The segments, and their words.
    """
    options = read_config(AlignOptions, values)
    if bundle.bpemodel and not options.bpemodel:
        options = replace(options, bpemodel=bundle.bpemodel)
    front_end = make_front_end(bundle)
    shift = front_end.frame_shift * 1000
    aligner, config = load_aligner(replace(options, frame_duration=shift))
    name = Path(audio).stem
    transform = make_transform(bundle.preprocess_conf, config, bundle.model)
    everything = read_texts(options.utt_text, {name: {}}, aligner.cutter)
    blocks = AudioBlocks(front_end.rate, front_end.extractor.audio.channel)
    pieces = []
    for start, samples in cut_audio(
        blocks.of_file(audio), front_end.rate, options.segment_seconds
    ):
        try:
            x = front_end(samples)
        except UserError as error:
            raise UserError(f"{audio}: {error}") from None
        if transform is not None:
            x = transform([x], [name], train=False)[0]
        pieces.append(Piece(start, x))
    segments = aligner.segments(name, pieces, everything[name])
    return segments, aligner.words(segments)


def load_aligner(options: AlignOptions) -> tuple[Aligner, TrainedConfig]:
    """The model that options name, ready to align; and its model.json."""
    device = choose_device(options.ngpu)
    model, config = load_trained_model(
        options.model, options.model_conf, options.trust_checkpoint
    )
    model.to(device=device, dtype=DTYPES[options.dtype])
    if options.set_blank >= len(config.char_list):
        raise UserError(
            f"--set-blank: {options.set_blank} must be below the number of tokens, "
            f"{len(config.char_list)}; 0 is the usual one"
        )
    spaces = options.replace_spaces_with_blanks == 0
    cutter = TextCutter(config.char_list, options.bpemodel, spaces)
    return Aligner(model.prepared(), config.char_list, cutter, options), config


def read_texts(path: str, utts: Utts, cutter: TextCutter) -> dict[str, list[Line]]:
    """The segments of each recording, in the order of the file.

    A segment belongs to the recording whose name is the longest beginning of its own.

    Raises:
        UserError: the file has no lines.
        DataError: lines without a recording or without a token of the model.
    """
    texts: dict[str, list[Line]] = {utt: [] for utt in utts}
    problems = []
    for number, line in read_lines(path):
        place = f"{path}:{number}"
        name, _, text = line.strip().partition(" ")
        if not name:
            continue
        owners = [name[:n] for n in range(len(name), 0, -1) if name[:n] in utts]
        ids = cutter(text)
        if not owners:
            problems.append(
                f"{place}: segment '{name}' begins with the name of no recording in "
                "--data-json"
            )
        elif not ids:
            problems.append(
                f"{place}: segment '{name}': no part of '{text}' is a token of the "
                "model; write it as the training text is written"
            )
        else:
            texts[owners[0]].append(Line(name, text, ids, place))
    if problems:
        raise DataError(shorten(problems, 20))
    if not any(texts.values()):
        raise UserError(f"{path}: has no line of text; a line is '<segment> <text>'")
    if cutter.left_out:
        logging.warning(
            "%s: has characters that the model does not; they are left out: %s",
            path,
            " ".join(sorted(cutter.left_out)),
        )
    for utt in [utt for utt, lines in texts.items() if not lines]:
        logging.warning("%s: has no text in %s", utt, path)
        del texts[utt]
    return texts


@dataclass(frozen=True)
class Aligner:
    """A model with CTC, and how texts are looked for."""

    model: ASRInterface
    char_list: Sequence[str]
    cutter: TextCutter
    options: AlignOptions

    @property
    def factor(self) -> int:
        """Input frames of an encoder frame."""
        own = self.model.get_total_subsampling_factor()
        return self.options.subsampling_factor or own

    @property
    def frame_seconds(self) -> float:
        """From input frame to input frame."""
        return self.options.frame_duration / 1000.0

    def check_lengths(self, texts: dict[str, list[Line]], utts: Utts) -> None:
        """Find recordings that cannot hold their text before any is aligned.

        Raises:
            DataError: one line for each.
        """
        problems = []
        for utt, lines in texts.items():
            frames = utts[utt]["input"][0]["shape"][0]
            needed = sum(len(line.ids) for line in lines)
            if needed > -(-frames // self.factor):
                problems.append(self._too_short(utt, lines, needed, frames))
        if problems:
            raise DataError(shorten(problems, 20))

    def words(self, segments: Sequence[Segment]) -> list[TimedToken]:
        """The words of segments, with times and confidences."""
        return [
            word for one in segments for word in words_of(one.tokens, self.char_list)
        ]

    def cut(self, x: np.ndarray) -> list[Piece]:
        """Features (T, D) in pieces that the encoder can read at once."""
        longest = int(self.options.segment_seconds / self.frame_seconds)
        cuts = [0, *cut_features(x, longest), len(x)]
        return [Piece(a * self.frame_seconds, x[a:b]) for a, b in pairwise(cuts)]

    def _too_short(
        self, utt: str, lines: Sequence[Line], needed: int, frames: int
    ) -> str:
        there = -(-frames // self.factor)
        return (
            f"recording '{utt}': is too short for its text ({lines[0].place}, "
            f"{len(lines)} segments): that needs {needed} encoder frames "
            f"({needed * self.factor * self.frame_seconds:.2f} s) or more, there are "
            f"{there} ({frames * self.frame_seconds:.2f} s); remove what is not said "
            "in it, or use a model with less subsampling"
        )

    def segments(
        self, utt: str, pieces: Sequence[Piece], lines: Sequence[Line]
    ) -> list[Segment]:
        """Where the lines are in a recording.

        Raises:
            UserError: the model has no CTC.
            DataError: the recording is too short for them.
        """
        ids = np.array([i for line in lines for i in line.ids])
        bounds = np.cumsum([0, *(len(line.ids) for line in lines)])
        blank = self.options.set_blank
        columns, places = np.unique(np.append(ids, blank), return_inverse=True)
        log_probs, gap_scores, times = self._read(utt, pieces, columns)
        gaps = np.zeros(len(ids) + 1, dtype=np.int64)
        gaps[bounds] = ANYTHING if self.options.gratis_blank else WORD_END
        gaps[[0, -1]] = WORD_END if self.options.forced else ANYTHING
        try:
            found = align(
                log_probs,
                places[:-1],
                gaps=gaps,
                gap_scores=gap_scores,
                blank=int(places[-1]),
                window=self.options.min_window_size,
                max_window=self.options.max_window_size,
            )
        except TooShort as error:
            raise DataError(
                [self._too_short(utt, lines, error.needed, sum(map(len, pieces)))]
            ) from None
        except UserError as error:
            raise UserError(f"recording '{utt}': {error}") from None
        return list(self._segments(found, times, lines, ids, bounds))

    @torch.no_grad()
    def _read(
        self, utt: str, pieces: Sequence[Piece], columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """CTC's log-posteriors (T', C) of some symbols, and those (T', 2) of gaps.

        And the time (T' + 1,) of the begin of each frame and of the end, in seconds.
        """
        silent = [self.options.set_blank]
        if SPACE in self.char_list:
            silent.append(list(self.char_list).index(SPACE))
        parts, gaps, begins = [], [], []
        for piece in pieces:
            try:
                memory, lengths = self.model.encode_list([piece.features])
            except UserError as error:
                raise UserError(f"recording '{utt}': {error}") from None
            scores = self.model.ctc_log_probs(memory)
            if scores is None:
                raise UserError(
                    f"--model: {self.options.model}: has no CTC, which an alignment "
                    "needs; train with mtlalpha above 0 (a Transducer: use-ctc-loss)"
                )
            count = int(lengths[0])
            scores = scores[0, :count].float()
            word_end = scores[:, silent].amax(-1)
            anything = scores.amax(-1) - OUTSIDE
            gaps.append(torch.stack([word_end, anything], 1).cpu().numpy())
            parts.append(scores[:, torch.as_tensor(columns)].cpu().numpy())
            frames = np.arange(count) * self.factor
            begins.append(piece.start + frames * self.frame_seconds)
        end = pieces[-1].start + len(pieces[-1]) * self.frame_seconds
        times = np.append(np.concatenate(begins), end)
        return np.concatenate(parts), np.concatenate(gaps), times

    def _segments(
        self,
        found: Alignment,
        times: np.ndarray,
        lines: Sequence[Line],
        ids: np.ndarray,
        bounds: np.ndarray,
    ) -> Iterator[Segment]:
        frame = self.factor * self.frame_seconds
        begins, ends = found.boundaries(MARGIN / frame, MARGIN / frame)
        token_begins, token_ends = found.boundaries(
            TOKEN_BEFORE / frame, TOKEN_AFTER / frame
        )
        index = np.arange(len(times))
        sure = np.exp(found.peaks)
        for line, (first, after) in zip(lines, pairwise(bounds), strict=True):
            start, end = begins[first], ends[after - 1]
            tokens = [
                TimedToken(
                    self.char_list[ids[n]],
                    float(np.interp(token_begins[n], index, times)),
                    float(np.interp(token_ends[n], index, times)),
                    float(sure[n]),
                )
                for n in range(first, after)
            ]
            inside = found.log_probs[found.first[first] : found.last[after - 1] + 1]
            score = worst_window(inside, self.options.scoring_length)
            seconds = np.interp([start, end], index, times)
            yield Segment(
                line.name, float(seconds[0]), float(seconds[1]), score, tokens
            )


def worst_window(log_probs: np.ndarray, length: int) -> float:
    """The least mean of ``length`` neighbours, or of all if there are fewer."""
    if len(log_probs) == 0:
        return NOTHING
    size = min(length, len(log_probs))
    sums = np.concatenate([[0.0], log_probs.cumsum()])
    return float(((sums[size:] - sums[:-size]) / size).min())
