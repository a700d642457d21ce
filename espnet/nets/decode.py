"""From encoder output to hypotheses, as the options of a user say."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from espnet.nets.beam_search import BeamSearch, Scorer
from espnet.nets.beam_search_transducer import TransducerSearch
from espnet.nets.ctc_best_path import ctc_best_path
from espnet.nets.ctc_prefix_score import CTCPrefixScorer
from espnet.nets.hypotheses import Hypothesis, Outcome
from espnet.nets.scorer_interface import TransducerScorer
from espnet.nets.scorers.length_bonus import LengthBonus
from espnet.nets.search_options import SearchOptions
from espnet.nets.search_rules import RULES, SearchRules
from espnet.utils.errors import UserError


class Search(Protocol):
    """A search that is ready to be called.

    Attributes:
        weights: of the scorers, by name.
    """

    weights: dict[str, float]

    def __call__(self, memory: Tensor, lengths: Tensor) -> list[Outcome]:
        """The outcomes of encoder output (B, T, E) of lengths (B,)."""


def make_search(
    scorers: Mapping[str, Scorer],
    vocabulary: int,
    options: SearchOptions,
    rules: SearchRules | None = None,
) -> Search:
    """The search that options describe.

    Args:
        scorers: ``decoder`` and ``ctc`` of a model, where they exist, or
            ``transducer``; perhaps ``lm`` and ``ngram``.
        vocabulary: number of tokens V; V - 1 is start and end symbol.
        options: what the user chose.
        rules: None for those of ``--api``.

    Raises:
        UserError: CTC has a weight, but the model has no CTC.
    """
    transducer = scorers.get("transducer")
    if isinstance(transducer, TransducerScorer):
        warn_of_others(options, "ngram" in scorers)
        return TransducerSearch(transducer, options, scorers.get("lm"))
    weights = choose_weights(scorers, options)
    ctc = scorers.get("ctc")
    has_lm = any(weights[name] for name in ("lm", "ngram") if name in scorers)
    is_best_path = weights["ctc"] == 1.0 and options.api == "v1" and not has_lm
    warn_of_unused(options, is_best_path)
    if is_best_path and isinstance(ctc, CTCPrefixScorer):
        return BestPathSearch(ctc, sos=vocabulary - 1)
    return BeamSearch(
        {**scorers, "length_bonus": LengthBonus(vocabulary)},
        weights,
        vocabulary=vocabulary,
        sos=vocabulary - 1,
        eos=vocabulary - 1,
        beam_size=options.beam_size,
        nbest=options.nbest,
        maxlenratio=options.maxlenratio,
        minlenratio=options.minlenratio,
        rules=rules or RULES[options.api],
    )


def choose_weights(
    scorers: Mapping[str, Scorer], options: SearchOptions
) -> dict[str, float]:
    """The weight of each scorer, by name.

    Raises:
        UserError: CTC has a weight, but the model has no CTC.
    """
    ctc_weight = options.ctc_weight
    if "decoder" not in scorers and ctc_weight != 1.0:
        logging.info("the model is CTC only (mtlalpha 1): --ctc-weight becomes 1.0")
        ctc_weight = 1.0
    if "ctc" not in scorers and ctc_weight > 0.0:
        raise UserError(
            f"--ctc-weight: {ctc_weight} needs CTC, but the model was trained without "
            f"it (mtlalpha 0); use --ctc-weight 0.0"
        )
    return {
        "decoder": 1.0 - ctc_weight,
        "ctc": ctc_weight,
        "lm": options.lm_weight,
        "ngram": options.ngram_weight,
        "length_bonus": options.penalty,
    }


def warn_of_others(options: SearchOptions, has_ngram: bool) -> None:
    """Say which options a Transducer search has no use for."""
    for name in ("ctc_weight", "penalty", "maxlenratio", "minlenratio"):
        if getattr(options, name):
            logging.warning(
                "--%s %g is not used: the model is a Transducer",
                *(name.replace("_", "-"), getattr(options, name)),
            )
    if has_ngram:
        logging.warning(
            "--ngram-model is not used: the search of a Transducer takes --rnnlm only"
        )


def warn_of_unused(options: SearchOptions, is_best_path: bool) -> None:
    """Say which options do not do what their values seem to ask for."""
    if is_best_path:
        if options.beam_size > 1 or options.nbest > 1:
            logging.info(
                "--ctc-weight 1.0 with --api v1 is CTC best path decoding, which has "
                "no beam: --beam-size %d and --nbest %d are not used (--api v2 "
                "searches with a beam)",
                options.beam_size,
                options.nbest,
            )
        return
    if options.api == "v1" and (options.maxlenratio <= -2 or options.minlenratio < 0):
        logging.warning(
            "with --api v1, --maxlenratio %g and --minlenratio %g allow one token and "
            "any length; below 0 they are numbers of tokens with --api v2",
            options.maxlenratio,
            options.minlenratio,
        )
    if options.ctc_window_margin:
        logging.warning(
            "--ctc-window-margin %d has no effect: CTC scores all frames",
            options.ctc_window_margin,
        )


class BestPathSearch:
    """CTC best path: one hypothesis, without end symbol; its score is the path's.

    Args:
        ctc: the scorer of the model.
        sos: id of the start symbol.
    """

    def __init__(self, ctc: CTCPrefixScorer, sos: int) -> None:
        self.ctc = ctc
        self.sos = sos
        self.weights = {"ctc": 1.0}

    @torch.no_grad()
    def __call__(self, memory: Tensor, lengths: Tensor) -> list[Outcome]:
        """The outcomes of encoder output (B, T, E) of lengths (B,)."""
        log_probs = self.ctc.ctc.log_softmax(memory)
        labels, scores = ctc_best_path(log_probs, lengths, self.ctc.blank)
        return [
            Outcome(
                [Hypothesis([self.sos, *ids], score, {"ctc": score})],
                frames=frames,
                longest=frames,
                shortest=0,
                ended=1,
            )
            for ids, score, frames in zip(labels, scores, lengths.tolist(), strict=True)
        ]
