"""The streaming modes of ``asr_recog.py``: encoders that are fed piece by piece.

Window mode feeds the encoder windows of frames and searches once, at the end. Segment
mode also ends a segment where CTC says nothing for a while, and searches each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet.asr.pieces import join_outcomes
from espnet.asr.recog_options import RecogOptions
from espnet.nets.asr_interface import ASRInterface
from espnet.nets.ctc_prefix_score import CTCPrefixScorer, LogSoftmax
from espnet.nets.encoder_stream import EncoderStream
from espnet.nets.hypotheses import Hypothesis, Outcome
from espnet.nets.pytorch_backend.ctc import BLANK
from espnet.nets.search_options import SearchOptions
from espnet.text.dictionary import SPACE
from espnet.utils.errors import UserError

Cutter = Callable[[Tensor], list[Tensor]]  # (T, D) -> the (T', E) of each segment


@dataclass(frozen=True)
class Streaming:
    """How utterances are cut, and what is found in their pieces joined.

    Attributes:
        cut: utterance -> encoder output of each segment.
        eos: id of start and end symbol.
        space: id of a token to put between segments, if there is one.
    """

    cut: Cutter
    eos: int
    space: int | None

    def join(self, outcomes: Sequence[Outcome]) -> Outcome:
        """The outcome of an utterance; an empty one, if nothing was spoken."""
        if outcomes:
            return join_outcomes(outcomes, self.space)
        nothing = Hypothesis([self.eos, self.eos], 0.0)
        return Outcome([nothing], frames=0, longest=0, shortest=0, ended=0)


def make_streaming(
    model: ASRInterface,
    options: RecogOptions,
    search_options: SearchOptions,
    char_list: Sequence[str],
) -> Streaming | None:
    """The mode that was asked for; None for whole utterances.

    Raises:
        UserError: the model cannot do that.
    """
    if options.streaming_mode is None:
        return None
    cut = _CUTTERS[options.streaming_mode](model, options, search_options)
    space = char_list.index(SPACE) if SPACE in char_list else None
    return Streaming(cut, model.eos, space)


def _windows(
    model: ASRInterface, options: RecogOptions, search_options: SearchOptions
) -> Cutter:
    """One segment, fed ``streaming_window`` frames at a time."""
    if not _stream(model, options).exact:
        logging.warning(
            "--streaming-mode window: the encoder reads backwards too, and begins "
            "anew in each window of %d frames; the results are not those of whole "
            "utterances",
            options.streaming_window,
        )
    if search_options.ctc_weight == 0.0:
        raise UserError(
            "--streaming-mode window: is for joint CTC and attention decoding; give a "
            "--ctc-weight above 0"
        )

    def cut(x: Tensor) -> list[Tensor]:
        stream = _stream(model, options)
        size = options.streaming_window
        ends = range(size, len(x) + size, size)
        hs = [stream.feed(x[end - size : end], last=end >= len(x)) for end in ends]
        return [torch.cat([piece for piece in hs if len(piece)] or hs[:1])]

    return cut


def _segments(
    model: ASRInterface, options: RecogOptions, _: SearchOptions
) -> SegmentCutter:
    """Segments between pauses; see :class:`SegmentCutter`."""
    if not _stream(model, options).exact:
        raise UserError(
            f"--streaming-mode segment: the encoder of {options.model} reads backwards "
            f"too; train one without b in its etype (lstmp, grup, vgglstmp, ...), or "
            f"use --streaming-mode window"
        )
    ctc = model.scorers().get("ctc")
    if not isinstance(ctc, CTCPrefixScorer):
        raise UserError(
            f"--streaming-mode segment: finds pauses by CTC, but {options.model} was "
            f"trained without it (mtlalpha 0)"
        )
    return SegmentCutter(
        lambda: _stream(model, options),
        ctc.ctc,
        options.streaming_min_blank_dur,
        options.streaming_onset_margin,
        options.streaming_offset_margin,
    )


_CUTTERS: dict[str, Callable[[ASRInterface, RecogOptions, SearchOptions], Cutter]] = {
    "window": _windows,
    "segment": _segments,
}


def _stream(model: ASRInterface, options: RecogOptions) -> EncoderStream:
    stream = model.encoder_stream()
    if stream is None:
        raise UserError(
            f"--streaming-mode: {options.model} is a model of "
            f"{type(model).__module__}, whose encoder reads whole utterances; it needs "
            f"an RNN model (espnet.nets.pytorch_backend.e2e_asr:E2E), or use "
            f"asr_stream.py, which decodes any model with CTC by blocks"
        )
    return stream


class SegmentCutter:
    """Finds what is spoken between pauses, and encodes it.

    A segment begins at the first frame whose best CTC label is not blank, for which the
    encoder starts anew ``onset_margin`` frames before, but not in another segment. It
    ends after ``min_blank_dur`` blanks, or with the utterance; all but
    ``offset_margin`` of its last blanks go.

    Args:
        start: makes a new stream of an encoder without backward layers.
        ctc: its CTC layer.
        min_blank_dur, onset_margin, offset_margin: encoder frames.
    """

    def __init__(
        self,
        start: Callable[[], EncoderStream],
        ctc: LogSoftmax,
        min_blank_dur: int,
        onset_margin: int,
        offset_margin: int,
    ) -> None:
        self.start, self.ctc = start, ctc
        self.min_blank_dur = min_blank_dur
        self.onset_margin, self.offset_margin = onset_margin, offset_margin

    def __call__(self, x: Tensor) -> list[Tensor]:
        """The encoder output (T', E) of each segment of an utterance (T, D)."""
        segments: list[Tensor] = []
        active: list[Tensor] = []  # encoder frames of the segment that goes on
        blanks = 0  # at its end
        frames = 0  # encoder frames before this block
        free = 0  # the first one that no segment has
        stream = self.start()
        for begin in range(0, len(x), stream.factor):
            end = min(begin + stream.factor, len(x))
            hs = stream.feed(x[begin:end], last=end == len(x))
            labels = self.ctc.log_softmax(hs[None])[0].argmax(-1).tolist()
            spoken = [i for i, label in enumerate(labels) if label != BLANK]
            if spoken and not active:
                onset = frames + spoken[0]
                first = max(free, onset - self.onset_margin) * stream.factor
                stream = self.start()
                hs = stream.feed(x[first:end], last=end == len(x))
            if spoken or active:
                active.append(hs)
                blanks = len(labels) - 1 - spoken[-1] if spoken else blanks + len(hs)
            frames += len(labels)
            if active and (blanks >= self.min_blank_dur or end == len(x)):
                dropped = max(0, blanks - self.offset_margin)
                hs = torch.cat(active)
                segments.append(hs[: len(hs) - dropped])
                active, blanks, free = [], 0, frames - dropped
        return segments
