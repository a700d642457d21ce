"""Which utterances have too few frames for their labels, known before training."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from espnet.asr.train_options import InitOptions, TrainOptions, add_model_options
from espnet.data.manifest import Utts, dimensions
from espnet.utils.errors import UserError
from espnet.utils.options import REQUIRED, OptionParser, option, parse_options

NOT_NEEDED = ("outdir", "dict")  # nothing is trained


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """Which data to filter, and how strictly."""

    data_json: str = option(REQUIRED, "data.json to filter")
    output_json_path: str = option(
        REQUIRED, "data.json to write, which may be that of --data-json"
    )
    mode_subsample: str = option(
        REQUIRED, "kind of model; only asr is built", choices=("asr",)
    )
    min_io_delta: float = option(
        0.0, "input frames that an utterance needs beyond labels x subsampling"
    )

    def check(self) -> None:
        """Refuse a number that nothing can be compared with."""
        if not math.isfinite(self.min_io_delta):
            raise UserError(f"min-io-delta: {self.min_io_delta} is not a finite number")


def parse_filter_options(
    argv: Sequence[str] | None, prog: str, description: str
) -> Namespace:
    """Read :class:`FilterOptions` and every option of ``asr_train.py``.

    Raises:
        UserError: a config file is missing or wrong, or values do not fit together.
    """
    return parse_options(
        [FilterOptions, TrainOptions, InitOptions],
        argv,
        prog=prog,
        description=description,
        config_files=True,
        more=_add_the_rest,
    )


def _add_the_rest(parser: OptionParser, args: Namespace) -> None:
    add_model_options(parser, args)
    for name in NOT_NEEDED:
        action = parser.find(name)
        if action is not None:
            action.required = False


def frames_per_output(args: Namespace, utts: Utts, path: str) -> int:
    """Input frames for each encoder frame of the model that the options describe.

    The model is built for it, so that every kind of model, also one of the user's own,
    says it itself.

    Args:
        args: options of training and of the model.
        utts: the sizes of input and output are those of the first.
        path: their file, for errors.

    Raises:
        UserError: the options are wrong, or ``utts`` has no sizes.
    """
    from espnet.asr.checks import Corpus  # torch: not needed for --help
    from espnet.asr.train import build_model

    idim, odim = dimensions(utts, path)
    sources = next(iter(utts.values()))["input"][: args.num_encs]
    idims = [int(source["shape"][-1]) for source in sources]
    chosen = idims if len(idims) > 1 else idim
    model = build_model(args, Corpus(utts, utts, chosen, odim, []))
    return model.get_total_subsampling_factor()


def check_sizes(utts: Utts, preprocess_conf: str, path: str) -> None:
    """Make sure that the sizes are those after on-the-fly preprocessing.

    They are what lengths are compared by. The first utterance is read for it.

    Args:
        utts: of a checked data.json.
        preprocess_conf: the preprocessing of training.
        path: the data.json, for errors.

    Raises:
        UserError: the preprocessing is wrong, or it makes other sizes.
    """
    from espnet.data.dataset import UtteranceReader  # torch: not needed for --help
    from espnet.transform.transformation import Transformation

    uttid, entry = next(iter(utts.items()))
    made = UtteranceReader(Transformation(preprocess_conf)).features(uttid, entry)
    shape = entry["input"][0]["shape"]
    if list(made.shape) != shape:
        raise UserError(
            f"{path}: utterance '{uttid}' has shape {shape}, but preprocess-conf "
            f"{preprocess_conf} makes {list(made.shape)} of it; make the file again "
            "with data2json.sh --preprocess-conf"
        )


def too_short(utts: Utts, ratio: float, min_io_delta: float) -> list[str]:
    """Ids of the utterances with ``ilen - min(olen) * ratio < min_io_delta``.

    Args:
        utts: of a checked data.json; ``ilen`` is the length of the first input,
            ``olen`` that of each output.
        ratio: input frames for each frame of the encoder.
        min_io_delta: input frames that must be left.
    """
    return [
        uttid
        for uttid, entry in utts.items()
        if entry["input"][0]["shape"][0]
        - min(target["shape"][0] for target in entry["output"]) * ratio
        < min_io_delta
    ]
