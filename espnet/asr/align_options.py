"""Options of ``asr_align.py``. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

import math
from dataclasses import dataclass

from espnet.asr.recog_options import DTYPES
from espnet.utils.errors import UserError
from espnet.utils.options import REQUIRED, option


@dataclass(frozen=True, kw_only=True)
class AlignOptions:
    """What to align, with which model."""

    ngpu: int = option(0, "0: CPU, 1: GPU")
    dtype: str = option("float32", "number format; float16 needs a GPU", choices=DTYPES)
    backend: str = option("pytorch", "only pytorch is built", choices=("pytorch",))
    debugmode: int = option(
        1, "0: fastest, not repeatable on a GPU; 1, 2: repeatable", choices=(0, 1, 2)
    )
    seed: int = option(1, "of all random numbers")
    verbose: int = option(
        1, "0: warnings, 1: what happens, 2: details", aliases=("-V",)
    )
    preprocess_conf: str | None = option(
        None, "YAML file of preprocessing instead of the model's own"
    )
    data_json: str = option(REQUIRED, "data.json of the recordings")
    utt_text: str = option(
        REQUIRED,
        "what is said: lines '<segment> <text>' in the order of speech; the name of a "
        "segment begins with that of its recording",
    )
    model: str = option(
        REQUIRED, "model.loss.best, model.acc.best, an averaged model or snapshot.ep.N"
    )
    model_conf: str | None = option(
        None, "its model.json, if that is not beside the model"
    )
    num_encs: int = option(1, "number of input streams", choices=(1,))
    bpemodel: str | None = option(
        None, "sentencepiece model that cuts the text; else the fewest tokens that fit"
    )
    forced: bool = option(
        False, "the text covers the whole recording: nothing is said before and after"
    )
    segment_seconds: float = option(
        30.0, "the encoder reads longer recordings in pieces of at most so many seconds"
    )
    subsampling_factor: int | None = option(
        None, "input frames of an encoder frame; else the model's own"
    )
    frame_duration: float = option(10.0, "ms from input frame to input frame")
    min_window_size: int = option(
        8000, "encoder frames around the diagonal in which the path is looked for first"
    )
    max_window_size: int = option(100000, "and at most")
    set_blank: int = option(0, "id of CTC's blank")
    use_dict_blank: int | None = option(None, "has no effect: see --set-blank")
    gratis_blank: int = option(
        0, "not 0: what is said between two segments costs nothing"
    )
    replace_spaces_with_blanks: int = option(
        0, "not 0: leave the token <space> out of the text"
    )
    scoring_length: int = option(
        30, "a segment is as good as its worst so many encoder frames"
    )
    output: str = option(
        REQUIRED, "file for '<segment> <recording> <start> <end> <log-probability>'"
    )
    ctm: str | None = option(None, "also write words with times and confidences")
    token_ctm: str | None = option(None, "also write tokens likewise")
    trust_checkpoint: bool = option(
        False, "unpickle a model file of ESPnet1 that holds more than tensors"
    )

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        least = {"ngpu": 0, "frame_duration": 1, "min_window_size": 2, "set_blank": 0}
        least |= {"scoring_length": 1, "segment_seconds": 1, "max_window_size": 2}
        for name, low in least.items():
            if not low <= getattr(self, name) < math.inf:
                flag = "--" + name.replace("_", "-")
                raise UserError(f"{flag}: {getattr(self, name)} must be {low} or more")
        if self.subsampling_factor is not None and self.subsampling_factor < 1:
            raise UserError(
                f"--subsampling-factor: {self.subsampling_factor} must be 1 or more"
            )
        if self.dtype == "float16" and self.ngpu == 0:
            raise UserError("--dtype: float16 needs a GPU; use float32, or --ngpu 1")
