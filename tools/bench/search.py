"""Searches, and the steps that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tools.bench.models import DIMS, VOCABULARY, build
from tools.bench.timing import Steps, Work

if TYPE_CHECKING:  # torch is imported by the cases that need it
    from torch import Tensor

    from espnet.nets.beam_search import Scorer
    from espnet.nets.scorer_interface import BatchScorer

FRAMES, BEAM, CANDIDATES, MEMORY = 400, 10, 15, 250
SHARE = 0.35  # of the encoder's 99 or 100 frames: 34 or 35 tokens
FEW = 10  # steps that are timed together


def search(name: str) -> dict[str, Work]:
    """Beam 10, ctc-weight 0.3, V=500, on utterances of 400 frames, encoder included.

    The weights are random, so that a search runs to its longest output: 34 tokens, 35
    of the RNN; and to all 99 or 100 frames with maxlenratio 0.
    """
    model = build(name).eval()

    def decode(batch: int, share: float) -> Work:
        work = decoding(model, batch, share)
        return Steps(work, work()[0].longest * batch)

    return {
        "one_utterance": decode(1, SHARE),
        "eight_together": decode(8, SHARE),
        "one_utterance_all_frames": decode(1, 0.0),
    }


def decoding(
    model: Any, batch: int, share: float, more: Mapping[str, Scorer] | None = None
) -> Callable[[], Any]:
    """A search for ``batch`` utterances of FRAMES frames, encoder included.

    Args:
        model: the recogniser.
        batch: utterances that are decoded together.
        share: of the encoder's frames, ``maxlenratio``.
        more: scorers beside those of the model.
    """
    import torch

    from espnet.nets.decode import make_search
    from espnet.nets.search_options import SearchOptions

    options = SearchOptions(beam_size=BEAM, ctc_weight=0.3, maxlenratio=share)
    model = model.prepared()
    rules = model.search_rules(options.api, batched=True)
    find = make_search({**model.scorers(), **(more or {})}, VOCABULARY, options, rules)
    generator = torch.Generator().manual_seed(1)
    xs = torch.randn(batch, FRAMES, DIMS, generator=generator)
    lengths = torch.full((batch,), FRAMES)

    @torch.no_grad()
    def work() -> Any:
        return find(*model.encode_batch(xs, lengths))

    return work


def decoder_steps() -> dict[str, Work]:
    """Ten steps of a decoder after 10, 100 and 390: beam 10, T=250, V=500."""
    import torch

    works: dict[str, Work] = {}
    for name in ("transformer", "rnn"):
        model = build(name).eval()
        scorer: Any = model.scorers()["decoder"]
        decoder = scorer.prepared()
        size = 320 if name == "rnn" else 256
        memory = torch.randn(1, MEMORY, size)
        state = decoder.start(memory, torch.tensor([MEMORY]), BEAM)
        position = 0
        for before in (10, 100, 390):
            state = walk(decoder, state, position, before)
            position = before
            works[f"{name}_after_{before}"] = Steps(
                partial(walk, decoder, state, before, before + FEW), FEW
            )
    return works


def walk(decoder: BatchScorer, state: Any, first: int, last: int) -> Any:
    """Steps ``first`` to ``last``, with the same choices whenever it is called."""
    import torch

    with torch.no_grad():
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            tokens = torch.randint(1, VOCABULARY, (BEAM,), generator=generator)
            # the best hypotheses have most successors
            chance = torch.rand(BEAM, generator=generator)
            rows = (BEAM * chance.square()).long()
            _, state = decoder.score(tokens, state)
            state = decoder.select(state, rows, tokens)
    return state


def ctc_steps() -> dict[str, Work]:
    """Ten steps of CTC prefix scores: beam 10, 15 candidates, T=250, V=500."""
    import torch

    from espnet.nets.ctc_prefix_score import CTCPrefixScorer

    class Given:
        """Log-posteriors that are there already."""

        def log_softmax(self, hs: Tensor) -> Tensor:
            return hs

    def steps(batch: int) -> Work:
        posteriors = torch.randn(batch, MEMORY, VOCABULARY).log_softmax(-1)
        scorer = CTCPrefixScorer(Given(), VOCABULARY - 1)
        start = scorer.start(posteriors, torch.full((batch,), MEMORY), BEAM)
        rows = torch.arange(batch * BEAM)
        order = torch.rand(batch * BEAM, VOCABULARY - 2).argsort(1) + 1

        @torch.no_grad()
        def work() -> None:
            state, tokens = start, torch.zeros(batch * BEAM, dtype=torch.long)
            for step in range(FEW):
                candidates = order[:, step * CANDIDATES : (step + 1) * CANDIDATES]
                _, state = scorer.score_partial(tokens, state, candidates)
                tokens = candidates[:, 0]
                state = scorer.select(state, rows, tokens)

        return Steps(work, FEW)

    return {"one_utterance": steps(1), "eight_together": steps(8)}
