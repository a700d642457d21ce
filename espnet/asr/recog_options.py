"""Options of ``asr_recog.py``. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass

from espnet.utils.errors import UserError
from espnet.utils.options import REQUIRED, option

DTYPES = ("float16", "float32", "float64")


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
        1, "utterances decoded together; 0 and 1: one after the other"
    )
    preprocess_conf: str | None = option(
        None, "YAML file of preprocessing instead of the model's own"
    )
    recog_json: str = option(REQUIRED, "data.json to decode")
    result_label: str = option(REQUIRED, "JSON file for the results")
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
        for name in ("ngpu", "seed", "batchsize"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name}: {getattr(self, name)} must be 0 or more")
        if self.dtype == "float16" and self.ngpu == 0:
            raise UserError("--dtype: float16 needs a GPU; use float32, or --ngpu 1")
