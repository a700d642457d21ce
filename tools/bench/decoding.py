"""Speech per second, with language models and quantised, and the price of a token."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tools.bench.models import VOCABULARY, build
from tools.bench.search import BEAM, FRAMES, SHARE, decoding, walk
from tools.bench.timing import Speech, Steps, Work

if TYPE_CHECKING:  # torch is imported by the cases that need it
    from espnet.nets.beam_search import Scorer
    from espnet.nets.lm_interface import LMInterface

SECONDS = FRAMES * 0.01
BATCHES = (1, 8, 32)
LENGTHS = (10, 50, 100, 200, 400)  # tokens
LANGUAGE_MODELS = ("default", "seq_rnn", "transformer")
AFTER = (10, 100, 390)  # tokens read before
FEW = 10  # steps that are timed together


def real_time(name: str) -> dict[str, Work]:
    """Utterances of 4 s: 1, 8 or 32 together, with a recurrent language model, in int8.

    Beam 10, ctc-weight 0.3, V=500, 34 or 35 tokens each, encoder included.
    """
    from espnet.nets.pytorch_backend.quantization import quantize

    exact, small = build(name).eval(), build(name).eval()
    quantize(small, ["Linear", "LSTMCell"], "qint8")
    lm = {"lm": language_model("default").scorer()}

    def decode(model: Any, batch: int, more: Mapping[str, Scorer]) -> Work:
        return Speech(decoding(model, batch, SHARE, more), batch * SECONDS)

    works: dict[str, Work] = {}
    for batch in BATCHES:
        works[f"batch_{batch}"] = decode(exact, batch, {})
        works[f"batch_{batch}_rnnlm"] = decode(exact, batch, lm)
        works[f"batch_{batch}_int8"] = decode(small, batch, {})
    return works


def token_curve() -> dict[str, Work]:
    """Searches of 10 to 400 tokens: Transformer, T=1000, beam 10, ctc-weight 0.3."""
    import torch

    from espnet.nets.decode import make_search
    from espnet.nets.search_options import SearchOptions

    model = build("transformer").eval()
    torch.manual_seed(2)
    memory, lengths = torch.randn(1, 1000, 256), torch.tensor([1000])
    works: dict[str, Work] = {}
    for count in LENGTHS:
        options = SearchOptions(
            api="v2", beam_size=BEAM, ctc_weight=0.3, maxlenratio=-count
        )
        find = make_search(model.scorers(), VOCABULARY, options)
        works[f"tokens_{count}"] = Steps(partial(find, memory, lengths), count)
    return works


def lm_steps() -> dict[str, Work]:
    """Ten steps of each language model after 10, 100 and 390: beam 10, V=500."""
    import torch

    works: dict[str, Work] = {}
    for name in LANGUAGE_MODELS:
        scorer: Any = language_model(name).scorer()
        scorer = scorer.prepared()
        state = scorer.start(torch.zeros(1, 1, 0), torch.ones(1), BEAM)
        position = 0
        for before in AFTER:
            state = walk(scorer, state, position, before)
            position = before
            steps = partial(walk, scorer, state, before, before + FEW)
            works[f"{name}_after_{before}"] = Steps(steps, FEW)
    return works


def language_model(name: str) -> LMInterface:
    """A model of ``lm_train.py``'s default size with random weights."""
    from argparse import Namespace

    import torch

    from espnet.nets.pytorch_backend.lm.options import full_name
    from espnet.utils.dynamic_import import dynamic_import

    torch.manual_seed(0)
    model: Any = dynamic_import(full_name(name))(VOCABULARY, Namespace())
    evaluated: LMInterface = model.eval()
    return evaluated
