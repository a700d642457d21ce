"""The beam searches, each for one utterance; see :mod:`.driver` for how they score.

They follow ESPnet1's, whose hypotheses and scores they give. Where that departs from
the papers:

- ``default`` (Graves, 2012) has no prefix search and merges nothing, so that one label
  sequence may come up several times, and it keeps all hypotheses that beat the open
  ones, which can be more than the beam. Where it would never end, it is cut.
- ``tsd`` (Saon et al., 2020) and ``nsc`` (Kim et al., 2020) do not merge equal label
  sequences that come up in one expansion step. In ``nsc`` with ``nstep`` 1 a label that
  was just added reaches the next frame without paying for a blank. The prefix search
  of ``nsc`` leaves the language model out.
- ``alsd`` (Saon et al., 2020) ends hypotheses of at most T - 1 labels for T frames,
  merges only what is in the beam already, and returns all of the beam, whatever
  ``nbest`` says and however long, if nothing has ended.

``maes`` is in :mod:`.maes`.
"""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect, insort
from collections.abc import Callable, Iterable, Sequence

from espnet.nets.search_options import SearchOptions
from espnet.nets.transducer_search.driver import (
    START,
    Driver,
    Hyp,
    Prefix,
    Request,
    Row,
    SearchRun,
    by_score,
    sort_nbest,
)
from espnet.nets.transducer_search.maes import maes


def best(hyps: Iterable[Hyp], count: int) -> list[Hyp]:
    """The best hypotheses, best first."""
    return sorted(hyps, key=by_score, reverse=True)[:count]


def add_logs(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))


# Nothing in the algorithm ends ``default`` where labels are always likelier than blank,
# as with weights that are not trained. It is cut where no sensible model comes near:
# trained ones expand one to three times the beam in a frame, random ones 6 to 25 times.
MOST_LABELS = (20, 4)  # of a hypothesis, and that for each frame
MOST_EXPANSIONS = (1000, 50)  # of an utterance, and that times the beam for each frame


def default(frames: int, beam: int, count: int, options: SearchOptions) -> SearchRun:
    """Beam search without prefix search (Graves, 2012)."""
    kept = [Hyp(START, 0.0)]
    longest = 1 + MOST_LABELS[0] + MOST_LABELS[1] * frames
    left = MOST_EXPANSIONS[0]
    for frame in range(frames):
        left += MOST_EXPANSIONS[1] * beam
        numbers = itertools.count()  # of equal scores the earlier one goes first
        hyps = [(-hyp.score, next(numbers), hyp) for hyp in kept]
        heapq.heapify(hyps)
        kept = []
        scores: list[float] = []  # of those kept, ascending
        rows: dict[Prefix, Row] = {}
        while hyps and left > 0 and len(scores) - bisect(scores, -hyps[0][0]) < beam:
            left -= 1
            _, _, hyp = heapq.heappop(hyps)
            if hyp.yseq not in rows:
                (rows[hyp.yseq],) = yield Request(frame, [hyp.yseq])
            row = rows[hyp.yseq]
            kept.append(Hyp(hyp.yseq, hyp.score + row.blank))
            insort(scores, kept[-1].score)
            for longer in row.extensions(hyp, count):
                if len(longer.yseq) <= longest:
                    heapq.heappush(hyps, (-longer.score, next(numbers), longer))
        open_score = -hyps[0][0] if hyps else -math.inf
        better = [hyp for hyp in kept if hyp.score > open_score]
        if len(better) < beam:  # it was cut
            better = best(kept, beam)
        kept = sorted(better, key=by_score)
    return sort_nbest(kept, options)


def tsd(frames: int, beam: int, count: int, options: SearchOptions) -> SearchRun:
    """Time synchronous decoding (Saon et al., 2020)."""
    kept = [Hyp(START, 0.0)]
    for frame in range(frames):
        ended: list[Hyp] = []
        current = kept
        for step in range(options.max_sym_exp):
            rows = yield Request(frame, [hyp.yseq for hyp in current])
            places: dict[Prefix, int] = {}
            for place, hyp in enumerate(ended):
                places.setdefault(hyp.yseq, place)
            for hyp, row in zip(current, rows, strict=True):
                score = hyp.score + row.blank
                there = places.get(hyp.yseq)
                if there is None:
                    ended.append(Hyp(hyp.yseq, score))
                else:
                    merged = add_logs(ended[there].score, score)
                    ended[there] = Hyp(hyp.yseq, merged)
            if step < options.max_sym_exp - 1:
                pairs = zip(current, rows, strict=True)
                longer = [h for hyp, row in pairs for h in row.extensions(hyp, count)]
                current = best(longer, beam)
        kept = best(ended, beam)
    return sort_nbest(kept, options)


def alsd(frames: int, beam: int, count: int, options: SearchOptions) -> SearchRun:
    """Alignment-length synchronous decoding (Saon et al., 2020)."""
    kept = [Hyp(START, 0.0)]
    ended: list[Hyp] = []
    for step in range(frames + min(options.u_max, frames - 1)):
        active = [
            (hyp, step - len(hyp.yseq) + 1)
            for hyp in kept
            if step - len(hyp.yseq) + 1 < frames
        ]
        if not active:
            continue
        rows = yield Request([f for _, f in active], [hyp.yseq for hyp, _ in active])
        found = []
        for (hyp, frame), row in zip(active, rows, strict=True):
            waiting = Hyp(hyp.yseq, hyp.score + row.blank)
            found.append(waiting)
            if frame == frames - 1:
                ended.append(waiting)
            found += row.extensions(hyp, count)
        merged: dict[Prefix, Hyp] = {}
        for hyp in best(found, beam):
            there = merged.get(hyp.yseq)
            if there is not None:
                hyp = Hyp(hyp.yseq, add_logs(there.score, hyp.score))
            merged[hyp.yseq] = hyp
        kept = list(merged.values())
    return sort_nbest(ended, options) if ended else kept


def nsc(frames: int, beam: int, count: int, options: SearchOptions) -> SearchRun:
    """N-step constrained beam search (Kim et al., 2020)."""
    kept = [Hyp(START, 0.0)]
    reads: list[Prefix] = []
    for frame in range(frames):
        hyps, needed = with_ancestors(kept, options.prefix_alpha)
        rows = yield Request(frame, needed, reads)
        hyps = prefix_search(hyps, options.prefix_alpha, needed, rows)
        present = {hyp.yseq for hyp in hyps}
        waiting: list[Hyp] = []
        for _ in range(options.nstep):
            pairs = list(zip(hyps, rows, strict=False))
            waiting += (Hyp(hyp.yseq, hyp.score + row.blank) for hyp, row in pairs)
            longer = [h for hyp, row in pairs for h in row.extensions(hyp, count)]
            longer = [h for h in best(longer, len(longer)) if h.yseq not in present]
            longer = longer[:beam]
            reads = [hyp.yseq for hyp in longer]
            hyps, present = promising(longer, waiting, beam), set(reads)
            if options.nstep == 1:
                break
            rows = yield Request(frame, [hyp.yseq for hyp in hyps], reads)
        else:
            hyps = [
                Hyp(hyp.yseq, hyp.score + row.blank)
                for hyp, row in zip(hyps, rows, strict=True)
            ]
        kept = best([*waiting, *hyps], beam)
    return sort_nbest(kept, options)


def promising(hyps: list[Hyp], waiting: Sequence[Hyp], beam: int) -> list[Hyp]:
    """Those that may still get into the beam.

    Scores only fall, so that nothing comes of a hypothesis that is worse than a whole
    beam of others which wait for the next frame.
    """
    if len(waiting) < beam:
        return hyps
    least = sorted(map(by_score, waiting), reverse=True)[beam - 1]
    return [hyp for hyp in hyps if hyp.score >= least]


def with_ancestors(kept: Sequence[Hyp], alpha: int) -> tuple[list[Hyp], list[Prefix]]:
    """Hypotheses, the longest first, and the prefixes that the prefix search scores:
    those of the hypotheses, then others."""
    hyps = sorted(kept, key=lambda hyp: len(hyp.yseq), reverse=True)
    needed = dict.fromkeys(hyp.yseq for hyp in hyps)
    if len(needed) < len(hyps):  # rows and hypotheses go side by side
        return hyps, [hyp.yseq for hyp in hyps] + _between(hyps, alpha)
    return hyps, list(dict.fromkeys([*needed, *_between(hyps, alpha)]))


def _between(hyps: Sequence[Hyp], alpha: int) -> list[Prefix]:
    return [
        long.yseq[:end]
        for long, short in _related(hyps, alpha)
        for end in range(len(short.yseq) + 1, len(long.yseq))
    ]


def _related(hyps: Sequence[Hyp], alpha: int) -> Iterable[tuple[Hyp, Hyp]]:
    """Pairs of which the second is a prefix, at most ``alpha`` labels shorter."""
    for place, long in enumerate(hyps):
        for short in hyps[place + 1 :]:
            size = len(short.yseq)
            if 0 < len(long.yseq) - size <= alpha and long.yseq[:size] == short.yseq:
                yield long, short


def prefix_search(
    hyps: Sequence[Hyp], alpha: int, needed: Sequence[Prefix], rows: Sequence[Row]
) -> list[Hyp]:
    """Add to each hypothesis the paths that reach it from its prefixes in one frame.

    Args:
        hyps: the longest first.
        alpha: labels that a prefix may be shorter.
        needed, rows: prefixes and their scores at the frame.
    """
    table = dict(zip(needed, rows, strict=True))
    scores = {id(hyp): hyp.score for hyp in hyps}
    for long, short in _related(hyps, alpha):
        score = short.score
        for end in range(len(short.yseq), len(long.yseq)):
            score += float(table[long.yseq[:end]].log_probs[long.yseq[end]])
        scores[id(long)] = add_logs(scores[id(long)], score)
    return [Hyp(hyp.yseq, scores[id(hyp)]) for hyp in hyps]


def side_by_side(search: Callable[[int, int, int, SearchOptions], SearchRun]) -> Search:
    """The search of many utterances that is made of a search of one."""

    def run(
        driver: Driver,
        lengths: Sequence[int],
        beam: int,
        count: int,
        options: SearchOptions,
    ) -> list[list[Hyp]]:
        return driver.run([search(frames, beam, count, options) for frames in lengths])

    return run


Search = Callable[[Driver, Sequence[int], int, int, SearchOptions], list[list[Hyp]]]
SEARCHES: dict[str, Search] = {
    "default": side_by_side(default),
    "tsd": side_by_side(tsd),
    "alsd": side_by_side(alsd),
    "nsc": side_by_side(nsc),
    "maes": maes,
}
