"""Recognition of audio that arrives piece by piece: CTC's best path, with times."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch

from espnet.asr.stream_audio import NAME, LiveAudio, Piece
from espnet.asr.stream_features import OnlineFeatures
from espnet.asr.stream_options import StreamOptions
from espnet.asr.transcribe import WITHOUT_LM, Transcriber, load
from espnet.asr.words import plain_text
from espnet.nets.encoder_stream import BlockStream, EncoderStream
from espnet.utils.errors import UserError

BLANK = 0
EXAMPLE = 64  # frames that any encoder takes


@dataclass(frozen=True)
class Said:
    """What was said since the last pause.

    Attributes:
        tokens: of the dictionary.
        start, end: begin of the first and end of the last one, in encoder frames.
        final: a pause followed, so that nothing will change.
    """

    tokens: list[str]
    start: int
    end: int
    final: bool


class GreedyCTC:
    """CTC's best path, frame by frame.

    Args:
        char_list: tokens by id.
        pause: encoder frames of blank after which what was said is final.
    """

    def __init__(self, char_list: Sequence[str], pause: int) -> None:
        self.char_list, self.pause = char_list, pause
        self.tokens: list[str] = []
        self.start = self.end = self.frames = 0
        self.last = BLANK

    def feed(self, labels: Sequence[int], last: bool = False) -> Iterator[Said]:
        """Take the best labels of the next frames; give what is new.

        Args:
            labels: ids.
            last: no more will come.
        """
        changed = False
        for label in labels:
            if label != BLANK:
                if label != self.last:
                    self.start = self.start if self.tokens else self.frames
                    self.tokens.append(self.char_list[label])
                    changed = True
                self.end = self.frames + 1
            self.last = label
            self.frames += 1
            if self.tokens and self.frames - self.end >= self.pause:
                yield self._said(final=True)
                self.tokens, changed = [], False
        if self.tokens and (changed or last):
            yield self._said(final=last)

    def _said(self, final: bool) -> Said:
        return Said(list(self.tokens), self.start, self.end, final)


class LiveRecognizer:
    """From pieces of one recording to what is said in it.

    Encoders that only look back carry their state; others see blocks with context.

    Args:
        transcriber: a recogniser with its front end.
        options: lengths in seconds.

    Attributes:
        lookahead: seconds of audio behind the begin of a CTC label that must have
            arrived before the label can be known, at most.

    Raises:
        UserError: the model has no CTC, or features or preprocessing need the whole
            recording.
    """

    def __init__(self, transcriber: Transcriber, options: StreamOptions) -> None:
        recognizer, front_end = transcriber.recognizer, transcriber.front_end
        self.model, self.config = recognizer.model, recognizer.config
        with torch.no_grad():  # which also warms up
            example = torch.zeros(EXAMPLE, self.config.idim)
            memory, _ = self.model.encode_list([example])
        if self.model.ctc_log_probs(memory) is None:
            raise UserError(
                f"--model: {options.model} has no CTC, which this command needs; "
                "train with mtlalpha above 0 (a Transducer: with use-ctc-loss true)"
            )
        if recognizer.reader.transform is not None:
            logging.warning(
                "the preprocessing of training (preprocess_conf) is applied to each "
                "piece alone; steps that look at whole utterances differ"
            )
        self.transform = recognizer.reader.transform
        self.features = OnlineFeatures(front_end)
        self.encoder = self._encoder(options, front_end.frame_shift)
        self.frame_shift = front_end.frame_shift * self.encoder.factor
        pause = max(1, round(options.end_silence / self.frame_shift))
        self.ctc = GreedyCTC(self.config.char_list, pause)
        frames = self.encoder.lookahead + self.features.right
        length = front_end.extractor.audio.frame_length / 1000.0
        self.lookahead = frames * front_end.frame_shift + length

    def _encoder(self, options: StreamOptions, shift: float) -> EncoderStream:
        stream = self.model.encoder_stream()
        if stream is not None and stream.exact:
            logging.info(
                "the encoder only looks back: --block and contexts are not used"
            )
            return stream
        sizes = (options.block, options.left_context, options.right_context)
        return BlockStream(
            self.model.encode_list,
            self.model.get_total_subsampling_factor(),
            *(round(seconds / shift) for seconds in sizes),
        )

    @torch.no_grad()
    def feed(self, samples: np.ndarray, last: bool = False) -> Iterator[Said]:
        """Take the next samples (N,); give what is new in them."""
        feats = self.features.feed(samples, last)
        if feats is None:
            feats = np.zeros((0, self.config.idim), np.float32)
        elif self.transform is not None:
            feats = self.transform([feats], [NAME], train=False)[0]
        if feats.shape[1] != self.config.idim:
            raise UserError(
                f"features have dimension {feats.shape[1]}, the model was trained with "
                f"{self.config.idim}; give the right --feats, --fbank-config and "
                "--pitch-config"
            )
        xs = torch.as_tensor(feats).to(next(self.model.parameters()))
        hs = self.encoder.feed(xs, last)
        labels: list[int] = []
        if len(hs):
            log_probs = self.model.ctc_log_probs(hs[None])
            assert log_probs is not None
            labels = log_probs[0].argmax(-1).tolist()
        yield from self.ctc.feed(labels, last)


def stream(options: StreamOptions, source: IO[bytes]) -> None:
    """Print what is said in ``source`` while it arrives.

    Lines are ``partial`` or ``final``, start and end in seconds, and text, separated by
    blanks. At the end the log has latency and speed.

    Raises:
        UserError: no audio, a model without CTC, or files that are missing or wrong.
    """
    if source.isatty():
        raise UserError(
            f"{NAME}: is a terminal; pipe audio in: arecord -f S16_LE -r 16000 | "
            "asr_stream.py ..., or asr_stream.py ... < audio.wav"
        )
    given = {**options.about_model(), "trust_checkpoint": options.trust_checkpoint}
    transcriber = load(options.model, **given, **WITHOUT_LM)
    live = LiveRecognizer(transcriber, options)
    rate = options.fs or transcriber.front_end.rate
    audio = LiveAudio(source, transcriber.audio, rate, options.realtime)
    printer = _Printer(sys.stdout)
    watch = Watch()
    for piece in audio:
        watch.begin(piece)
        for said in live.feed(piece.samples, piece.last):
            if printer.show(said, live.frame_shift):
                watch.printed(piece)
        watch.end(piece)
    watch.report(transcriber.front_end.rate, live.lookahead, options.end_silence)


class _Printer:
    """Writes a line for all that is new; on a terminal, partial results in place."""

    def __init__(self, out: IO[str]) -> None:
        self.out, self.in_place = out, out.isatty()
        self.text = ""

    def show(self, said: Said, shift: float) -> bool:
        """Print, unless the text is empty or the partial one that stands there."""
        text = plain_text(said.tokens)
        known, self.text = self.text, "" if said.final else text
        if not text or (text == known and not said.final):
            return False
        kind = "final  " if said.final else "partial"
        line = f"{kind} {said.start * shift:.2f} {said.end * shift:.2f} {text}"
        begin = "\r\x1b[K" if self.in_place else ""
        after = "" if self.in_place and not said.final else "\n"
        self.out.write(begin + line + after)
        self.out.flush()
        return True


class Watch:
    """Measures how long lines take after their last sample arrived.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.delays: list[float] = []
        self.busy = self.begun = 0.0
        self.samples = 0

    def begin(self, piece: Piece) -> None:
        """A piece is about to be looked at."""
        self.begun = self.clock()
        self.samples += len(piece.samples)

    def printed(self, piece: Piece) -> None:
        """A line was printed that needed this piece."""
        self.delays.append(self.clock() - piece.arrived)

    def end(self, piece: Piece) -> None:
        """All that the piece gives was printed."""
        self.busy += self.clock() - self.begun

    def report(self, rate: int, lookahead: float, end_silence: float) -> None:
        """Log latency and speed."""
        seconds = self.samples / rate
        logging.info(
            "%.2f s of audio, real-time factor %.3f",
            *(seconds, self.busy / max(seconds, 1e-9)),
        )
        if not self.delays:
            logging.warning("nothing was said, or CTC did not hear it")
            return
        logging.info(
            "latency of %d lines, from the arrival of the last sample needed: median "
            "%.0f ms, at most %.0f ms; beside it a label waits for up to %.2f s of "
            "audio (look-ahead), a final result for %.2f s of silence",
            *(len(self.delays), 1000 * statistics.median(self.delays)),
            *(1000 * max(self.delays), lookahead, end_silence),
        )
