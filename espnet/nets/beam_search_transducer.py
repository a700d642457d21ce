"""Transducer searches, as the options of a user say."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from espnet.nets.beam_search import Scorer
from espnet.nets.hypotheses import Hypothesis, Outcome
from espnet.nets.scorer_interface import (
    BatchScorer,
    ScorerInterface,
    TransducerScorer,
)
from espnet.nets.scorers.single import SingleScorer
from espnet.nets.search_options import SearchOptions
from espnet.nets.transducer_search.driver import Driver, Hyp
from espnet.nets.transducer_search.greedy import greedy
from espnet.nets.transducer_search.searches import SEARCHES
from espnet.utils.errors import UserError

UNLIMITED = -1


class TransducerSearch:
    """The search; call it with encoder output. A beam of 1 is greedy search.

    Args:
        scorer: of the model.
        options: what the user chose.
        lm: a language model; greedy search has no use for it.

    Raises:
        UserError: the beam is too large for the vocabulary, or ``lm`` scores candidates
            only or has a negative weight.
    """

    def __init__(
        self,
        scorer: TransducerScorer,
        options: SearchOptions,
        lm: Scorer | None = None,
    ) -> None:
        self.scorer = scorer
        self.options = options
        self.temperature = options.softmax_temperature
        self.greedy = options.beam_size == 1
        if isinstance(lm, ScorerInterface):
            lm = SingleScorer(lm)
        if lm is not None and self.greedy:
            logging.warning(
                "the language model is not used: a Transducer with beam-size 1 is"
                " searched greedily"
            )
        if self.greedy or options.lm_weight == 0.0:
            lm = None
        if lm is not None and not isinstance(lm, BatchScorer):
            raise UserError(
                "--rnnlm: a Transducer search needs a language model that scores every"
                f" token; {type(lm).__name__} scores candidates only"
            )
        if lm is not None and options.lm_weight < 0.0:
            raise UserError(
                f"--lm-weight: {options.lm_weight:g} must not be negative: a Transducer"
                " search counts on scores that fall with each label"
            )
        self.lm = lm
        if lm is not None and self.temperature > 1.0:
            logging.warning(
                "softmax-temperature %g becomes 1: there is a language model",
                self.temperature,
            )
            self.temperature = 1.0
        vocabulary = scorer.vocabulary
        self.beam = min(options.beam_size, vocabulary)
        self.count = min(options.beam_size, vocabulary - 1)  # labels of an expansion
        if options.search_type == "maes" and not self.greedy:
            more, _ = options.expansion()
            self.count = options.beam_size + more
            if self.count > vocabulary:
                raise UserError(
                    f"--expansion-beta: beam-size {options.beam_size} and"
                    f" {more} make {self.count} candidates, but there"
                    f" are {vocabulary} symbols; use smaller numbers"
                )
        self.weights = {"transducer": 1.0}
        if lm is not None:
            self.weights["lm"] = options.lm_weight

    @torch.no_grad()
    def __call__(self, memory: Tensor, lengths: Tensor) -> list[Outcome]:
        """The outcomes of encoder output (B, T, E) of lengths (B,), each 1 or more."""
        if self.greedy:
            hyps = greedy(self.scorer, memory, lengths, self.temperature)
            found = [[hyp] for hyp in hyps]
        else:
            found = self._beam_search(memory, lengths)
        return [
            Outcome(
                [Hypothesis(list(hyp.yseq), hyp.score) for hyp in nbest],
                frames=frames,
                longest=UNLIMITED,
                shortest=0,
                ended=len(nbest),
            )
            for nbest, frames in zip(found, lengths.tolist(), strict=True)
        ]

    def _beam_search(self, memory: Tensor, lengths: Tensor) -> list[list[Hyp]]:
        """The n best of each utterance."""
        driver = Driver(
            *(self.scorer, memory, lengths),
            best=min(self.count, self.scorer.vocabulary - 1),
            temperature=self.temperature,
            lm=self.lm,
            lm_weight=self.options.lm_weight,
            together=self.options.search_type != "default",
        )
        search = SEARCHES[self.options.search_type]
        return search(driver, lengths.tolist(), self.beam, self.count, self.options)
