"""Modified adaptive expansion search (Kim et al., 2021), of all utterances at once.

It follows ESPnet1's, which departs from the paper: labels that lead to a sequence that
the beam had at the beginning of the frame are left out, nothing is pruned between
expansion steps, blank competes with labels for the places of candidates, and the prefix
search leaves the language model out.

Hypotheses of all utterances stand one behind the other in arrays. Most frames change
nothing but scores, for no label comes near blank in them. So each utterance has a place
of its own, several frames are scored at a time, and an utterance goes on to the first
of them in which something happens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from espnet.nets.search_options import SearchOptions
from espnet.nets.transducer_search.arrays import (
    Array,
    Family,
    Hyps,
    Scores,
    Tree,
    float_array,
)
from espnet.nets.transducer_search.driver import Driver, Hyp, sort_nbest

LEAST_STEPS = 2
MOST_FRAMES = 16  # that are scored at a time


class _Search:
    """The search as it goes on.

    Args:
        driver: scores prefixes.
        lengths: frames of each utterance.
        beam: hypotheses that are kept in each frame.
        count: candidates of a hypothesis.
        options: what the user chose.
    """

    def __init__(
        self,
        driver: Driver,
        lengths: Sequence[int],
        beam: int,
        count: int,
        options: SearchOptions,
    ) -> None:
        self.driver = driver
        self.lengths = np.array(lengths)
        self.beam = beam
        self.count = count
        self.options = options
        _, self.worse = options.expansion()
        self.steps = max(LEAST_STEPS, options.nstep)
        self.tree = Tree(driver)
        rows = np.arange(len(lengths))
        roots = np.array([self.tree.root(row) for row in rows.tolist()])
        self.hyps = Hyps(rows, roots, np.zeros(len(rows)))
        self.ended: list[Hyps] = []
        self.places = np.zeros(len(rows), np.int64)  # of utterances
        self.ahead = 2  # frames that are scored at a time

    def run(self) -> list[list[Hyp]]:
        """The n best of each utterance."""
        while len(self.hyps.rows):
            self._advance()
        found: list[list[Hyp]] = [[] for _ in self.lengths]
        for part in self.ended:
            for row, node, score in zip(*(a.tolist() for a in part), strict=True):
                found[row].append(Hyp(self.driver.prefixes[node], score))
        return [sort_nbest(hyps, self.options) for hyps in found]

    def _advance(self) -> None:
        """Bring each utterance behind its next frame in which something happens, or
        behind all that are scored."""
        scores, family, steps = self._score()
        hyps = self.hyps
        happens = ~scores.may_wait | scores.may_grow.any(-1)  # (N, K)
        stops = np.zeros((len(self.lengths), self.ahead), bool)
        np.logical_or.at(stops, hyps.rows, happens)
        left = self.lengths - self.places
        quiet = np.where(stops.any(1), stops.argmax(1), self.ahead)
        busy = (quiet < self.ahead) & (quiet < left)
        quiet = np.minimum(quiet, left)
        waited = self._wait(scores.blank, family, steps, quiet, busy)
        hyps = hyps._replace(scores=waited)
        self.places += quiet
        acting = np.flatnonzero(busy[hyps.rows])
        if len(acting):
            now = scores.at(acting, quiet[hyps.rows[acting]])
            grown = self._expand(hyps.take(acting), now)
            hyps = Hyps.joined([hyps.take(~busy[hyps.rows]), grown])
        self.places += busy
        done = self.places[hyps.rows] >= self.lengths[hyps.rows]
        self.ended.append(hyps.take(done))
        self.hyps = hyps.take(~done)
        used = (quiet + busy).sum() / max(1, (left > 0).sum() * self.ahead)
        wanted = self.ahead * 2 if used > 0.5 else self.ahead // 2
        self.ahead = max(1, min(MOST_FRAMES, wanted))

    def _score(self) -> tuple[Scores, Family, Array]:
        """What hypotheses may do in the next frames (N, K), and what the labels from
        one to another score there (P, K)."""
        rows, nodes, _ = self.hyps
        options = self.options
        family = Family.of(self.hyps, self.tree, max(1, options.prefix_alpha))
        places = self.places[:, None] + np.arange(self.ahead)
        of_rows = np.concatenate([rows, family.between[0]])
        numbers = np.concatenate([nodes, family.between[1]])
        log_probs = self._log_probs(of_rows, places[of_rows], numbers[:, None])
        scores = Scores.of(log_probs[: len(nodes)], self.count, self.worse)
        steps = np.zeros((len(family.longer), self.ahead))
        if len(steps):
            entries, labels = map(torch.from_numpy, (family.entries, family.labels))
            device = log_probs.device
            chosen = log_probs[entries.to(device), :, labels.to(device)]
            np.add.at(steps, family.pairs, float_array(chosen))
            parents = family.shorter[family.near]
            taken = self.tree.labels[nodes[family.longer[family.near]]]
            others = scores.labels[parents] != taken[:, None, None]
            np.logical_and.at(scores.may_grow, parents, others)
        if options.prefix_alpha == 0:
            steps[:] = -np.inf
        return scores, family, steps

    def _log_probs(self, rows: Array, places: Array, nodes: Array) -> torch.Tensor:
        """Log-probabilities (..., V) of prefixes in frames of utterances.

        Args:
            rows: (N,).
            places: frames (N, ...); behind the last one it stands for all.
            nodes: numbers of prefixes (N, ...).
        """
        driver = self.driver
        inside = np.minimum(places, driver.width - 1)
        rows = rows.reshape(-1, *[1] * (places.ndim - 1))
        device = driver.frames.device
        return driver.log_probs(
            torch.from_numpy(inside + rows * driver.width).to(device),
            torch.from_numpy(nodes).to(device),
        )

    def _wait(
        self, blank: Array, family: Family, steps: Array, quiet: Array, busy: Array
    ) -> Array:
        """Scores of hypotheses (N,) after the quiet frames of their utterances, and in
        a busy one after its prefix search.

        Args:
            blank: log-probability (N, K).
            family, steps: for the prefix search.
            quiet: frames of each utterance.
            busy: of each utterance, whether it stops at the frame behind them.
        """
        rows, _, scores = self.hyps
        waits = quiet[rows]
        if not len(steps):
            inside = np.arange(blank.shape[1]) < waits[:, None]
            return scores + (blank * inside).sum(1)
        last = waits + busy[rows]
        for frame in range(int(last.max())):
            more = scores[family.shorter] + steps[:, frame]
            more[last[family.longer] <= frame] = -np.inf
            scores = scores.copy()
            np.logaddexp.at(scores, family.longer, more)
            scores += np.where(waits > frame, blank[:, frame], 0.0)
        return scores

    def _expand(self, hyps: Hyps, now: Scores) -> Hyps:
        """The hypotheses of the next frame, after all steps in this one."""
        tree, driver = self.tree, self.driver
        size = len(tree.parents)  # what is read here was not there before
        present = set((hyps.rows * size + hyps.nodes).tolist())
        waiting: list[Hyps] = []
        for step in range(self.steps):
            waited = hyps._replace(scores=hyps.scores + now.blank)
            waiting.append(waited.take(now.may_wait))
            hyp, place = np.nonzero(now.may_grow)
            rows, parents = hyps.rows[hyp], hyps.nodes[hyp]
            labels = now.labels[hyp, place]
            totals = hyps.scores[hyp] + now.values[hyp, place]
            if driver.lm is not None:
                totals += driver.lm_scores(rows, parents, labels)
            if step:  # of the first one's they were left out already
                nodes = tree.known(parents, labels)
                keys = np.where((nodes < 0) | (nodes >= size), -1, rows * size + nodes)
                new = np.array([key not in present for key in keys.tolist()], bool)
                rows, parents, labels = rows[new], parents[new], labels[new]
                totals = totals[new]
            if not len(rows):
                break
            if driver.together:
                tree.children(rows, parents, labels)
            chosen = self._promising(rows, totals, Hyps.joined(waiting))
            rows = rows[chosen]
            nodes = tree.children(rows, parents[chosen], labels[chosen])
            hyps = Hyps(rows, nodes, totals[chosen])
            log_probs = self._log_probs(rows, self.places[rows], nodes)
            now = Scores.of(log_probs, self.count, self.worse)
        else:
            waiting.append(hyps._replace(scores=hyps.scores + now.blank))
        ranked, ranks = Hyps.joined(waiting).ranked()
        return ranked.take(ranks < self.beam)

    def _promising(self, rows: Array, scores: Array, waiting: Hyps) -> Array:
        """Which hypotheses may still get into the beam (N,).

        Scores only fall, so that nothing comes of a hypothesis that is worse than a
        whole beam of others which wait for the next frame.
        """
        least = np.full(len(self.lengths), -np.inf)
        ranked, ranks = waiting.ranked()
        last = ranks == self.beam - 1
        least[ranked.rows[last]] = ranked.scores[last]
        return scores >= least[rows]


def maes(
    driver: Driver,
    lengths: Sequence[int],
    beam: int,
    count: int,
    options: SearchOptions,
) -> list[list[Hyp]]:
    """The n best of each utterance.

    Args:
        driver: scores prefixes.
        lengths: frames of each utterance.
        beam: hypotheses that are kept in each frame.
        count: candidates of a hypothesis, blank included.
        options: what the user chose.
    """
    return _Search(driver, lengths, beam, count, options).run()
