"""One label-synchronous search: weighted scorers -> hypotheses; beam 1 is greedy.

It runs over all hypotheses of all utterances at once. What has been output is kept as
back-pointers, so a step costs the same at any length; utterances that are done leave
the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from espnet.nets.hypotheses import INF, History, Outcome, Step
from espnet.nets.scorer_interface import (
    BatchScorer,
    PartialScorer,
    ScorerInterface,
    TransducerScorer,
)
from espnet.nets.scorers.single import SingleScorer
from espnet.nets.search_rules import RULES, SearchRules
from espnet.utils.errors import UserError

PREBEAM_RATIO = 1.5  # candidates that partial scorers see, per hypothesis of the beam
END_LENGTHS = 3  # end detection: so many lengths in a row ...
END_MARGIN = 10.0  # ... whose best hypothesis lies so far below the best of all

Scorer = BatchScorer | PartialScorer | ScorerInterface | TransducerScorer


class BeamSearch:
    """The search; call it with encoder output.

    Args:
        scorers: by name; a plug-in for one hypothesis is wrapped.
        weights: a scorer of weight 0 is not run.
        vocabulary: number of tokens V.
        sos, eos: ids of start and end symbol.
        beam_size: hypotheses that go on at each step.
        nbest: hypotheses returned.
        maxlenratio: longest output; 0 stands for the encoder frames, and lets the
            search stop as soon as longer hypotheses keep getting worse.
        minlenratio: shortest output; if nothing ends, searched again with 0.1 less.
        rules: see :class:`SearchRules`.
    """

    def __init__(
        self,
        scorers: Mapping[str, Scorer],
        weights: Mapping[str, float],
        *,
        vocabulary: int,
        sos: int,
        eos: int,
        beam_size: int,
        nbest: int = 1,
        maxlenratio: float = 0.0,
        minlenratio: float = 0.0,
        rules: SearchRules = RULES["v2"],
    ) -> None:
        used = {
            name: SingleScorer(s) if isinstance(s, ScorerInterface) else s
            for name, s in scorers.items()
            if weights[name] != 0
        }
        self.full = {
            n: s.prepared() for n, s in used.items() if isinstance(s, BatchScorer)
        }
        self.partial = {n: s for n, s in used.items() if isinstance(s, PartialScorer)}
        self.names = [*self.full, *self.partial]
        if not self.names:
            raise ValueError("every scorer has weight 0: nothing to search with")
        self.weights = {name: weights[name] for name in self.names}
        self.vocabulary = vocabulary
        self.sos = sos
        self.eos = eos
        self.beam_size = beam_size
        self.nbest = nbest
        self.maxlenratio = maxlenratio
        self.minlenratio = minlenratio
        self.rules = rules
        self.prebeam = self._prebeam()

    def _prebeam(self) -> tuple[str, ...]:
        """The scorers that choose the candidates of the partial ones; () for none."""
        size = int(PREBEAM_RATIO * self.beam_size)
        if not self.partial or size >= self.vocabulary:
            return ()
        if "decoder" not in self.full:  # CTC alone: exact over all of V
            return ()
        return self.rules.prebeam or tuple(self.full)

    @torch.no_grad()
    def __call__(self, memory: Tensor, lengths: Tensor) -> list[Outcome]:
        """Search B utterances.

        Args:
            memory: encoder output (B, T, E).
            lengths: valid frames (B,), each 1 or more.

        Raises:
            UserError: a scorer gives nan.
        """
        ratio = self.minlenratio
        outcomes = self._search(memory, lengths, ratio)
        while empty := [b for b, outcome in enumerate(outcomes) if not outcome.nbest]:
            if ratio == 0.0:  # then all that goes on ends at the limit
                raise UserError(
                    f"no hypothesis has a score: of {', '.join(self.names)}, one gives "
                    "nan; are its weights finite?"
                )
            lower = max(0.0, ratio - 0.1)
            logging.warning(
                "no hypothesis of %d tokens or more ended; searching again with "
                "minlenratio %.2f instead of %.2f",
                min(outcomes[b].shortest for b in empty),
                lower,
                ratio,
            )
            ratio = lower
            again = torch.tensor(empty, device=memory.device)
            retried = self._search(
                memory[again], lengths[again.to(lengths.device)], ratio
            )
            for b, outcome in zip(empty, retried, strict=True):
                outcomes[b] = outcome
        return outcomes

    def _search(
        self, memory: Tensor, lengths: Tensor, minlenratio: float
    ) -> list[Outcome]:
        frames = lengths.tolist()
        limits = [
            self.rules.limits(count, self.maxlenratio, minlenratio) for count in frames
        ]
        beams = _Beams(self, memory, lengths, limits)
        while len(beams.active):
            beams.step()
        by_length = self.rules.score_per_symbol and "ctc" not in self.names
        found = beams.history.nbest(
            self.nbest, self.names, self.sos, self.eos, by_length
        )
        return [
            Outcome(nbest, count, longest, shortest, ended)
            for (nbest, ended), count, (longest, shortest) in zip(
                found, frames, limits, strict=True
            )
        ]


class _Beams:
    """The running hypotheses: B' utterances that are not done, K in each beam."""

    def __init__(
        self,
        search: BeamSearch,
        memory: Tensor,
        lengths: Tensor,
        limits: Sequence[tuple[int, int]],
    ) -> None:
        self.search = search
        batch, beam, device = len(memory), search.beam_size, memory.device
        scorers: dict[str, Any] = {**search.full, **search.partial}
        self.states = {n: s.start(memory, lengths, beam) for n, s in scorers.items()}
        self.active = torch.arange(batch, device=device)
        self.last_step = torch.tensor([longest - 1 for longest, _ in limits]).to(device)
        firsts = [search.rules.first_end(shortest) for _, shortest in limits]
        self.first_end = torch.tensor(firsts).to(device)
        self.now = 0
        self.tokens = torch.full((batch * beam,), search.sos, device=device)
        scores = torch.full((batch, beam), -INF, dtype=torch.float64, device=device)
        scores[:, 0] = 0.0  # one empty hypothesis; the other places are vacant
        self.scores = scores
        self.parts = scores.new_zeros(batch, beam, len(search.names))
        self.frames = lengths.to(device)
        self.history = History(batch)
        self.best = scores.new_full((batch,), -INF)  # of the ended ones
        self.best_at: list[Tensor] = []  # the same by the step of their end

    def step(self) -> None:
        """Append a token to every hypothesis, file the ended ones, drop the done."""
        given, chosen = self._score()
        file_ends = (
            self._with_ends_beside
            if self.search.rules.ends_beside
            else self._with_ends_within
        )
        step, rows = file_ends(given, chosen)
        self.history.add(step)
        at_limit = (self.last_step == self.now)[self.active]
        done = at_limit | (self.scores == -INF).all(1) | self._end_detected(step.ended)
        self._go_on(~done, rows, step.tokens[:, : self.search.beam_size])
        self.now += 1

    def _score(self) -> tuple[dict[str, Tensor], Tensor | None]:
        """What each scorer gives (N, C), and the tokens that it is for; None: all."""
        search = self.search
        given: dict[str, Tensor] = {}
        for name, scorer in search.full.items():
            values, self.states[name] = scorer.score(self.tokens, self.states[name])
            # half precision is too coarse for sums
            given[name] = values.to(torch.promote_types(values.dtype, torch.float32))
        chosen = None
        if search.prebeam:
            chosen = self._candidates(given)
            given = {name: values.gather(1, chosen) for name, values in given.items()}
        for name, partial in search.partial.items():
            given[name], self.states[name] = partial.score_partial(
                self.tokens, self.states[name], chosen
            )
        return given, chosen

    def _candidates(self, given: Mapping[str, Tensor]) -> Tensor:
        """The tokens that partial scorers see (N, C)."""
        search = self.search
        values = self._weighted(given, search.prebeam)
        size = int(PREBEAM_RATIO * search.beam_size)
        if not search.rules.ends_beside:
            return top_k(values, size)[1]
        for scorer in search.partial.values():
            if scorer.blank is not None:
                values[:, scorer.blank] = -INF
        chosen = top_k(values, size)[1]
        return torch.cat((chosen, chosen.new_full((len(chosen), 1), search.eos)), 1)

    def _with_ends_within(
        self, given: dict[str, Tensor], chosen: Tensor | None
    ) -> tuple[Step, Tensor]:
        """A step in which ends compete with all other tokens for the beam.

        Returns:
            The step, and the rows (B', K) of the hypotheses that were continued.
        """
        local = self._weighted(given, self.search.names)
        scores, rows, tokens, gains = self._extend(local, given, chosen)
        parts = self.parts.flatten(0, 1)[rows] + gains
        at_limit = (self.last_step == self.now)[self.active][:, None]
        ends = (scores > -INF) & ((tokens == self.search.eos) | at_limit)
        scores, parts = self._add_finals(scores, parts, rows, ends)
        allowed = (self.first_end <= self.now)[self.active][:, None]
        ended = scores.masked_fill(~(ends & allowed), -INF)
        self.scores, self.parts = scores.masked_fill(ends, -INF), parts
        forced = at_limit.expand_as(tokens)
        parents = rows % self.search.beam_size
        return Step(self.active, tokens, parents, ended, parts, forced), rows

    def _with_ends_beside(
        self, given: dict[str, Tensor], chosen: Tensor | None
    ) -> tuple[Step, Tensor]:
        """A step in which ends have places of their own, if they are good enough.

        Hypothesis j of the old beam ends where that beats the worst one of the new
        beam; otherwise, at the limit, hypothesis j of the new beam ends.
        """
        search, beam = self.search, self.search.beam_size
        place = search.eos if chosen is None else -1
        gain = torch.stack([given[name][:, place] for name in search.names], -1)
        local = self._weighted(given, search.names)
        end = self.scores + local[:, place].view_as(self.scores)
        is_end = torch.arange(local.shape[1], device=end.device) == search.eos
        local = local.masked_fill(
            is_end if chosen is None else chosen == search.eos, -INF
        )
        scores, rows, tokens, gains = self._extend(local, given, chosen)
        parts = self.parts.flatten(0, 1)[rows] + gains
        beats = end > scores[:, -1:].masked_fill(tokens[:, -1:] == search.eos, -INF)
        stuck = (tokens == search.eos).all(1, keepdim=True)
        at_limit = (self.last_step == self.now)[self.active][:, None]
        # where nothing can follow, they end where they are
        cut = at_limit | (tokens == search.eos)
        own_rows = torch.arange(len(tokens) * beam, device=end.device).view_as(rows)
        end_rows = torch.where(beats, own_rows, rows)
        end_tokens = tokens.masked_fill(beats, search.eos)
        ended = torch.where(beats, end, scores.masked_fill(~cut, -INF))
        end_parts = torch.where(
            beats[..., None], self.parts + gain.view_as(self.parts), parts
        )
        too_long = beats & (self.now >= self.frames[self.active])[:, None]
        # but an utterance of which nothing has ended must have some output
        too_long &= ~((at_limit | stuck) & (self.best[self.active] == -INF)[:, None])
        allowed = (self.first_end <= self.now)[self.active][:, None] & ~too_long
        ends = allowed & (ended > -INF)
        ended, end_parts = self._add_finals(ended, end_parts, end_rows, ends)
        step = Step(
            self.active,
            torch.cat((tokens, end_tokens), 1),
            torch.cat((rows, end_rows), 1) % beam,
            torch.cat(
                (torch.full_like(ended, -INF), ended.masked_fill(~ends, -INF)), 1
            ),
            torch.cat((parts, end_parts), 1),
            torch.cat((tokens, end_tokens), 1) != search.eos,
        )
        self.scores, self.parts = scores.masked_fill(stuck, -INF), parts
        return step, rows

    def _extend(
        self, local: Tensor, given: Mapping[str, Tensor], chosen: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The best K continuations of each utterance.

        Args:
            local: weighted scores of the next tokens (N, C).
            given: the same of each scorer.
            chosen: the tokens (N, C); None for all.

        Returns:
            Scores (B', K), -inf for vacant places; the rows (B', K) of the hypotheses
            that they continue; their tokens (B', K); what each of the S scorers added
            (B', K, S).
        """
        search, beam = self.search, self.search.beam_size
        best, places = top_k(local, min(beam, local.shape[1]))  # (N, C)
        joint = (self.scores.view(-1, 1) + best).view(*self.scores.shape[:1], -1)
        joint = joint.masked_fill(joint.isnan(), -INF)
        scores, order = joint.sort(dim=1, descending=True, stable=True)
        scores, order = scores[:, :beam], order[:, :beam]
        first = torch.arange(len(scores), device=order.device)[:, None] * beam
        rows = first + order // best.shape[1]
        places = places[rows, order % best.shape[1]]
        gains = torch.stack([given[name][rows, places] for name in search.names], -1)
        tokens = places if chosen is None else chosen[rows, places]
        stuck = (scores == -INF).all(1, keepdim=True)
        # where no continuation is possible, all hypotheses end as if at the limit
        scores = torch.where(stuck, self.scores, scores)
        rows = torch.where(stuck, first + torch.arange(beam, device=rows.device), rows)
        tokens = tokens.masked_fill(stuck, search.eos)
        return scores, rows, tokens, gains.masked_fill(stuck[..., None], 0.0)

    def _weighted(self, given: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
        """The weighted sum of the named scores."""
        first, *rest = (self.search.weights[name] * given[name] for name in names)
        return sum(rest, start=first)

    def _add_finals(
        self, scores: Tensor, parts: Tensor, rows: Tensor, ends: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add what scorers give for the end itself where ``ends`` (B', K)."""
        asked = {
            name: scorer
            for name, scorer in self.search.full.items()
            if type(scorer).final_score is not BatchScorer.final_score
        }
        if not asked or not bool(ends.any()):
            return scores, parts
        for name, scorer in asked.items():
            final = scorer.final_score(self.states[name], rows[ends])
            if final is not None:
                added = torch.zeros_like(scores)
                added[ends] = final.to(scores)
                scores = scores + self.search.weights[name] * added
                parts[..., self.search.names.index(name)] += added
        return scores, parts

    def _end_detected(self, ended: Tensor) -> Tensor:
        """(B',), True where the last lengths all were far worse than the best."""
        best_now = self.best.new_full(self.best.shape, -INF)
        best_now[self.active] = ended.amax(1)
        self.best_at.append(best_now)
        self.best = torch.maximum(self.best, best_now)
        # lengths i, i-1, i-2 with start and end symbol: ended two steps and more ago
        first = self.now - 1 - END_LENGTHS
        detects = self.search.maxlenratio == 0 or self.search.rules.always_detects_end
        if not detects or first < 0:
            return torch.zeros_like(self.active, dtype=torch.bool)
        past = torch.stack(self.best_at[first : first + END_LENGTHS])
        far = (past > -INF) & (past < self.best - END_MARGIN)
        return far.all(0)[self.active]

    def _go_on(self, kept: Tensor, rows: Tensor, tokens: Tensor) -> None:
        """Select the states of the hypotheses of utterances that are not done."""
        if not kept.all():
            self.active = self.active[kept]
            self.scores, self.parts = self.scores[kept], self.parts[kept]
            rows, tokens = rows[kept], tokens[kept]
        self.tokens = tokens.flatten()
        if not len(self.active):
            return
        scorers: dict[str, Any] = {**self.search.full, **self.search.partial}
        for name, scorer in scorers.items():
            self.states[name] = scorer.select(
                self.states[name], rows.flatten(), self.tokens
            )


def top_k(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest of each row, descending; of equal ones those of lower index first.

    Args:
        values: (N, V).
        count: how many.

    Returns:
        Values and indices (N, count).
    """
    best, places = values.topk(min(count + 1, values.shape[1]))
    # torch leaves open which of equal values topk takes, and in what order
    if bool((best[:, 1:] == best[:, :-1]).any()):
        best, places = values.sort(dim=1, descending=True, stable=True)
    return best[:, :count], places[:, :count]
