"""CTC prefix scores for a label-synchronous search.

Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End Speech Recognition",
IEEE JSTSP 11(8), 2017, Algorithm 2. The recursions over frames are linear in the log
semiring, so that a loop over frames becomes ``cumsum`` and ``logcumsumexp``; and a
prefix score needs only the forward variables of the hypothesis it extends, so that the
recursions are run for the hypotheses that survive, not for each candidate.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from espnet.nets.scorer_interface import PartialScorer

INF = float("inf")
LOG_ZERO = -690.0  # the smallest log-posterior: its exponential is not 0 in float64


class LogSoftmax(Protocol):
    """The part of a CTC layer that scoring needs."""

    def log_softmax(self, hs: Tensor) -> Tensor:
        """Log-posteriors (B, T, V) of encoder output (B, T, E)."""


class CTCTables(NamedTuple):
    """What is known of B utterances, all in float64.

    The recursions subtract sums over all frames from each other, and the prefix scores
    are summed without logarithms; float32 has neither the digits nor the range.

    Attributes:
        probs: posteriors (B, V, T), frames last: sums run over neighbours in memory.
        blank: log-posteriors of blank (B, T).
        blank_sums: the same, cumulated.
        outside: (B, T), True behind the length.
        last_frame: index of the last frame (B, 1).
    """

    probs: Tensor
    blank: Tensor
    blank_sums: Tensor
    outside: Tensor
    last_frame: Tensor


class CTCState(NamedTuple):
    """Forward variables of N prefixes h; frame t of ``before`` means "up to t-1".

    Attributes:
        tables: of the utterances.
        utts: the utterance of each prefix (N,).
        before: log P(frames before t give h), (N, T); -inf behind the length.
        before_blank: the same, of paths that end in blank.
        complete: log P(all frames give h), (N, 1).
        last: the last label of h (N, 1), -1 for the empty prefix.
        last_probs: its posteriors (N, T).
        prefix: log prefix probability of h (N, 1).
        candidates: the labels scored last (N, K), None for all of V.
        scores: log prefix probabilities of the labels scored last (N, K).
    """

    tables: CTCTables
    utts: Tensor
    before: Tensor
    before_blank: Tensor
    complete: Tensor
    last: Tensor
    last_probs: Tensor
    prefix: Tensor
    candidates: Tensor | None
    scores: Tensor | None


class CTCPrefixScorer(PartialScorer):
    """How much a next label changes the log prefix probability of a hypothesis.

    The end symbol gets the probability that the hypothesis is complete; blank is
    impossible (-inf).

    Args:
        ctc: has ``log_softmax(hs (B, T, E)) -> (B, T, V)``.
        eos: id of the end symbol.
        blank: id of blank.
    """

    def __init__(self, ctc: LogSoftmax, eos: int, blank: int = 0) -> None:
        self.ctc = ctc
        self.eos = eos
        self.blank: int = blank

    def start(self, memory: Tensor, lengths: Tensor, beam: int) -> CTCState:
        """The empty prefix: only blanks have been read."""
        log_probs = self.ctc.log_softmax(memory).double().clamp(min=LOG_ZERO)
        batch, frames, _ = log_probs.shape
        device = log_probs.device
        lengths = lengths.to(device)
        blank = log_probs[:, :, self.blank]
        tables = CTCTables(
            probs=log_probs.exp().transpose(1, 2).contiguous(),
            blank=blank,
            blank_sums=blank.cumsum(-1),
            outside=torch.arange(frames, device=device) >= lengths[:, None],
            last_frame=(lengths - 1)[:, None],
        )
        utts = torch.arange(batch, device=device).repeat_interleave(beam)
        before = _shift(tables.blank_sums, first=0.0)
        before = before.masked_fill(tables.outside, -INF)[utts]
        return CTCState(
            tables=tables,
            utts=utts,
            before=before,
            before_blank=before,
            complete=tables.blank_sums.gather(1, tables.last_frame)[utts],
            last=torch.full_like(utts, -1)[:, None],
            last_probs=torch.zeros_like(before),
            prefix=before.new_zeros(len(utts), 1),
            candidates=None,
            scores=None,
        )

    def score_partial(
        self, tokens: Tensor, state: CTCState, candidates: Tensor | None
    ) -> tuple[Tensor, CTCState]:
        """Scores (N, K) of the candidates, or (N, V)."""
        # a path reads c for the first time at one frame t: psi(h c) is the sum over t
        # of P(frames before t give h) * P(c at t); h must end in blank if c repeats
        highest = state.before.amax(-1, keepdim=True).clamp(min=-1e30)
        weights = (state.before - highest).exp()
        probs = state.tables.probs
        if candidates is None:
            by_utt = weights.view(len(probs), -1, weights.shape[-1])
            sums = (by_utt @ probs.transpose(1, 2)).flatten(0, 1)
            labels = torch.arange(sums.shape[1], device=sums.device)[None]
        else:
            rows = state.utts[:, None] * probs.shape[1] + candidates
            read = probs.flatten(0, 1).index_select(0, rows.flatten())
            sums = read.view(*rows.shape, -1).mul_(weights[:, None]).sum(-1)
            labels = candidates
        repeated = (state.before_blank - highest).exp() * state.last_probs
        sums = torch.where(labels == state.last, repeated.sum(-1, keepdim=True), sums)
        sums = sums.masked_fill(labels == self.blank, 0.0)
        scores = sums.log() + highest
        scores = torch.where(labels == self.eos, state.complete, scores)
        state = state._replace(candidates=candidates, scores=scores)
        return scores - state.prefix, state

    def select(self, state: CTCState, rows: Tensor, tokens: Tensor) -> CTCState:
        """Run the recursions for the hypotheses that go on."""
        tables, utts = state.tables, state.utts[rows]
        assert state.scores is not None, "score_partial comes before select"
        if state.candidates is None:
            places = tokens[:, None]
            if len(rows) < len(state.utts):  # some utterances are done
                kept, utts = torch.unique_consecutive(utts, return_inverse=True)
                tables = CTCTables(*(table[kept] for table in tables))
        else:
            places = (state.candidates[rows] == tokens[:, None]).int().argmax(-1, True)
        last_probs = tables.probs[utts, tokens]  # (M, T)
        log_probs = last_probs.log()
        repeats = tokens[:, None] == state.last[rows]
        before = torch.where(repeats, state.before_blank[rows], state.before[rows])
        in_label = _recursion(before, log_probs, log_probs.cumsum(-1))
        blank, blank_sums = tables.blank[utts], tables.blank_sums[utts]
        in_blank = _recursion(_shift(in_label), blank, blank_sums)
        total = torch.logaddexp(in_label, in_blank)
        outside = tables.outside[utts]
        return CTCState(
            tables=tables,
            utts=utts,
            before=_shift(total).masked_fill_(outside, -INF),
            before_blank=_shift(in_blank).masked_fill_(outside, -INF),
            complete=total.gather(1, tables.last_frame[utts]),
            last=tokens[:, None],
            last_probs=last_probs,
            prefix=state.scores[rows].gather(1, places),
            candidates=None,
            scores=None,
        )


def _recursion(entry: Tensor, log_probs: Tensor, sums: Tensor) -> Tensor:
    """``r[t] = logaddexp(r[t-1], entry[t]) + log_probs[t]`` for all t at once.

    Args:
        entry: what enters before frame t is read (M, T).
        log_probs: (M, T).
        sums: ``log_probs`` cumulated over frames.
    """
    return sums + torch.logcumsumexp(entry - (sums - log_probs), dim=-1)


def _shift(values: Tensor, first: float = -INF) -> Tensor:
    """Each frame gets the value of the frame before, the first one ``first``."""
    shifted = torch.empty_like(values)
    shifted[:, 0] = first
    shifted[:, 1:] = values[:, :-1]
    return shifted
