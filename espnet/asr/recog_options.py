"""Options of ``asr_recog.py``. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

import math
from dataclasses import dataclass

from espnet.utils.errors import UserError, one_of
from espnet.utils.options import REQUIRED, option

QUANTIZABLE = ("GRU", "GRUCell", "LSTM", "LSTMCell", "Linear")
QUANTIZED_DTYPES = ("float16", "qint8")
DTYPES = ("float16", "float32", "float64")
STREAMING_MODES = ("window", "segment")


def parse_pair(text: str) -> tuple[float, float]:
    """``0.6,-0.1`` -> (0.6, -0.1)."""
    try:
        first, second = (float(part) for part in text.strip("()").split(","))
    except ValueError:
        raise ValueError(f"'{text}' is not two numbers 'a,b'") from None
    if not math.isfinite(first + second):
        raise ValueError(f"'{text}' is not two finite numbers")
    return first, second


@dataclass(frozen=True, kw_only=True)
class RecogOptions:
    """What to decode, with which model and machine; the rest is SearchOptions."""

    ngpu: int = option(0, "0: CPU, 1: GPU")
    dtype: str = option("float32", "number format; float16 needs a GPU", choices=DTYPES)
    backend: str = option(
        "pytorch", "only pytorch is built", choices=("chainer", "pytorch")
    )
    debugmode: int = option(
        1,
        "0: fastest, not repeatable on a GPU; 1: repeatable cuDNN; 2: only repeatable "
        "algorithms, where torch has one",
        choices=(0, 1, 2),
    )
    seed: int = option(1, "of all random numbers")
    verbose: int = option(
        1, "0: warnings, 1: what happens, 2: details", aliases=("-V",)
    )
    batchsize: int = option(
        1,
        "utterances decoded together; 0 and 1: one after the other (RNN models with "
        "--api v1 have other rules for the end of an output with 0)",
    )
    preprocess_conf: str | None = option(
        None, "YAML file of preprocessing instead of the model's own"
    )
    recog_json: str = option(REQUIRED, "data.json to decode")
    result_label: str = option(REQUIRED, "JSON file for the results")
    ctm: str | None = option(
        None,
        "file for the words with their times and confidences, in NIST's CTM format",
    )
    confidence: tuple = option(
        (1.0, 0.0),
        "a,b: confidences p become sigmoid(a * log(p / (1 - p)) + b); "
        "fit_confidence.py finds a and b",
        parse=parse_pair,
    )
    segment_seconds: float = option(
        0.0,
        "cut longer utterances at their quietest places, decode the pieces and join "
        "what they give; 0: never",
    )
    frame_shift: float = option(
        10.0, "ms from frame to frame of the features, which data.json does not say"
    )
    model: str = option(
        REQUIRED, "model.loss.best, model.acc.best, an averaged model or snapshot.ep.N"
    )
    model_conf: str | None = option(
        None, "its model.json, if that is not beside the model"
    )
    num_spkrs: int = option(1, "number of speakers at once", choices=(1,))
    num_encs: int = option(1, "number of input streams", choices=(1,))
    rnnlm: str | None = option(
        None, "language model of the recogniser's tokens: rnnlm.model.best"
    )
    rnnlm_conf: str | None = option(
        None, "its model.json, if that is not beside the model"
    )
    word_rnnlm: str | None = option(
        None, "language model of words, for a recogniser of characters"
    )
    word_rnnlm_conf: str | None = option(
        None, "its model.json, if that is not beside the model"
    )
    word_dict: str | None = option(
        None, "its word list, where its model.json does not have one"
    )
    multi_level_lm: bool = option(
        False, "combine --rnnlm (inside words) and --word-rnnlm (at their ends)"
    )
    ngram_model: str | None = option(
        None, "n-gram model of the tokens, an ARPA file or one of KenLM"
    )
    ngram_scorer: str = option(
        "part",
        "part: the n-gram model scores the candidates that the others chose; full: it "
        "has a say in the choice",
        choices=("full", "part"),
    )
    streaming_mode: str | None = option(
        None,
        "how an RNN model is fed: whole utterances; window: piece by piece, and one "
        "search at the end; segment: a search for what is spoken between pauses",
        choices=STREAMING_MODES,
    )
    streaming_window: int = option(10, "window: input frames of a piece")
    streaming_min_blank_dur: int = option(
        10, "segment: encoder frames of CTC blank that end it"
    )
    streaming_onset_margin: int = option(
        1, "segment: encoder frames kept before its first label"
    )
    streaming_offset_margin: int = option(
        1, "segment: encoder frames of blank kept at its end"
    )
    quantize_config: list[str] = option(
        [],
        "classes of torch.nn that are quantised, of Linear, LSTM, GRU, LSTMCell and "
        "GRUCell; none given: Linear",
        several=True,
    )
    quantize_dtype: str = option(
        "qint8",
        "weights of quantised layers; qint8: a quarter of the memory, int8 products "
        "(LSTM and GRU: float32); float16: half the memory, float32 products",
        choices=QUANTIZED_DTYPES,
    )
    quantize_asr_model: bool = option(
        False, "quantise the recogniser (CPU, float32), scores change a little"
    )
    quantize_lm_model: bool = option(False, "quantise the language models likewise")
    trust_checkpoint: bool = option(
        False, "unpickle a model file of ESPnet1 that holds more than tensors"
    )

    def check(self) -> None:
        """Refuse what is not built, and values that cannot be meant."""
        if self.backend == "chainer":
            raise UserError(
                "--backend: only pytorch is built, not chainer; remove the option or "
                "use --backend pytorch"
            )
        both = bool(self.rnnlm and self.word_rnnlm)
        if both and not self.multi_level_lm:
            raise UserError(
                "--rnnlm and --word-rnnlm: only one of them can be given (or, to "
                "combine them, --multi-level-lm true too)"
            )
        if self.multi_level_lm and not both:
            raise UserError("--multi-level-lm: needs both --rnnlm and --word-rnnlm")
        self._check_quantization()
        for name in ("ngpu", "seed", "batchsize"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name}: {getattr(self, name)} must be 0 or more")
        for name, least in (("segment_seconds", 0.0), ("frame_shift", 1e-3)):
            if not least <= getattr(self, name) < math.inf:
                flag = "--" + name.replace("_", "-")
                raise UserError(
                    f"{flag}: {getattr(self, name)} must be above 0 and finite"
                )
        if 0.0 < self.segment_seconds < 1.0:
            raise UserError(
                f"--segment-seconds: {self.segment_seconds} must be 1 or more, or 0: a "
                "piece needs a pause to be cut in"
            )
        self._check_streaming()
        if self.dtype == "float16" and self.ngpu == 0:
            raise UserError("--dtype: float16 needs a GPU; use float32, or --ngpu 1")

    def _check_streaming(self) -> None:
        for name in ("ctm", "segment_seconds"):
            if self.streaming_mode and getattr(self, name):
                flag = "--" + name.replace("_", "-")
                raise UserError(
                    f"{flag}: does not go together with --streaming-mode; leave one out"
                )
        if self.streaming_mode and self.batchsize > 1:
            raise UserError(
                f"--streaming-mode: decodes one utterance after the other; use "
                f"--batchsize 1 (it is {self.batchsize})"
            )
        for name, least in (
            ("window", 1),
            ("min_blank_dur", 1),
            ("onset_margin", 0),
            ("offset_margin", 0),
        ):
            value = getattr(self, f"streaming_{name}")
            if value < least:
                flag = f"--streaming-{name}".replace("_", "-")
                raise UserError(f"{flag}: {value} must be {least} or more")

    def _check_quantization(self) -> None:
        """Refuse what cannot be quantised, or where it cannot be."""
        for name in self.quantize_config:
            if name not in QUANTIZABLE:
                raise UserError(one_of("--quantize-config", name, QUANTIZABLE))
        for name in ("quantize_asr_model", "quantize_lm_model"):
            if not getattr(self, name):
                continue
            flag = "--" + name.replace("_", "-")
            if self.ngpu > 0:
                raise UserError(
                    f"{flag}: quantised layers run on the CPU only; use --ngpu 0, or "
                    "--dtype float16 on a GPU"
                )
            if self.dtype != "float32":
                raise UserError(
                    f"{flag}: needs --dtype float32, not {self.dtype}; the layers that "
                    "are not quantised remain what they are"
                )
        lms = self.rnnlm or self.word_rnnlm
        if self.quantize_lm_model and not lms:
            raise UserError(
                "--quantize-lm-model: there is no language model; name it with --rnnlm "
                "or --word-rnnlm"
            )
