"""Options that every attention/CTC recogniser shares. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from espnet.utils.errors import UserError
from espnet.utils.option_values import parse_bool
from espnet.utils.options import option


@dataclass(frozen=True)
class HybridOptions:
    """The CTC/attention training step and what it reports."""

    mtlalpha: float = option(
        0.5, "weight of CTC in the loss: 1 is CTC only, 0 attention only"
    )
    lsm_weight: float = option(0.0, "weight of label smoothing")
    report_cer: bool = option(False, "report the character error rate in validation")
    report_wer: bool = option(False, "report the word error rate in validation")
    sym_space: str = option("<space>", "token that stands for a space in CER/WER")
    sym_blank: str = option("<blank>", "token left out of hypotheses in CER/WER")
    nbest: int = option(1, "hypotheses kept by the search in validation")
    beam_size: int = option(4, "beam of the search in validation")
    penalty: float = option(0.0, "bonus per token in validation")
    maxlenratio: float = option(0.0, "longest output in validation, share of input")
    minlenratio: float = option(0.0, "shortest output in validation, share of input")
    ctc_weight: float = option(0.3, "weight of CTC in the search of validation")
    ctc_type: str = option(
        "builtin",
        "the CTC loss: always torch's own; the other names are of ESPnet1",
        choices=("builtin", "cudnnctc", "gtnctc", "warpctc"),
    )
    context_residual: bool = option(
        False,
        "let the RNN decoder's output layer see the context too",
        parse=parse_bool,
    )
    char_list: tuple[str, ...] = field(default=())
    train_json: str | None = field(default=None)

    def check(self) -> None:
        """Refuse values that cannot be meant."""
        for name in ("mtlalpha", "lsm_weight", "ctc_weight"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                flag = name.replace("_", "-")
                raise UserError(f"{flag}: {value} must lie in [0, 1]")
        for name in ("nbest", "beam_size"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise UserError(f"{flag}: {getattr(self, name)} must be 1 or more")
