"""Long recordings: cut at quiet places, and what was heard in the pieces joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from espnet.nets.hypotheses import Hypothesis, Outcome

PAUSE = 20  # frames over which loudness is averaged: a pause, not a closed stop
EVEN = 1e-6  # differences of loudness that are none
FRAMES = 100  # a second, for the loudness of audio


def quietest(loudness: np.ndarray, longest: int) -> int:
    """Where to cut what is too long; no piece is shorter than half of ``longest``.

    Args:
        loudness: of each frame that is left (T,), T > longest, on any rising scale.
        longest: frames that a piece may have, 2 or more.

    Returns:
        The length of the first piece, in frames.
    """
    first = max(1, longest // 2)
    last = min(longest, len(loudness) - first)
    half = PAUSE // 2
    padded = np.pad(loudness[: last + half].astype(np.float64), half, mode="edge")
    weights = np.hanning(PAUSE + 1)  # heaviest in the middle, which is where to cut
    smooth = np.convolve(padded, weights / weights.sum(), "valid")[first : last + 1]
    lowest = np.flatnonzero(smooth <= smooth.min() + EVEN)
    runs = np.split(lowest, np.flatnonzero(np.diff(lowest) > 1) + 1)
    longest_run = max(runs, key=len)
    return first + int(longest_run[len(longest_run) // 2])


def cut_features(x: np.ndarray, longest: int) -> list[int]:
    """Where to cut features (T, D) so that no piece has more than ``longest`` frames.

    The mean over D of (log) energies serves as loudness.
    """
    cuts: list[int] = []
    loudness = x.mean(axis=1)
    start = 0
    while len(x) - start > longest:
        start += quietest(loudness[start:], longest)
        cuts.append(start)
    return cuts


def cut_audio(
    blocks: Iterable[np.ndarray], rate: int, seconds: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Cut a recording that comes block by block; little more than a piece is kept.

    Args:
        blocks: samples (N,).
        rate: their rate, in Hz.
        seconds: that a piece may have; 0: it is not cut.

    Yields:
        Where each piece begins, in seconds, and its samples.
    """
    frame, longest = rate // FRAMES, int(seconds * FRAMES)
    kept = np.zeros(0, dtype=np.float32)
    start = 0
    for block in blocks:
        kept = np.concatenate([kept, block])
        while longest and len(kept) >= (longest + longest // 2) * frame:
            place = quietest(_loudness(kept, frame), longest) * frame
            yield start / rate, kept[:place]
            kept, start = kept[place:], start + place
    while longest and len(kept) // frame > longest:
        place = quietest(_loudness(kept, frame), longest) * frame
        yield start / rate, kept[:place]
        kept, start = kept[place:], start + place
    yield start / rate, kept


def _loudness(samples: np.ndarray, frame: int) -> np.ndarray:
    """The log energy of each whole frame; what is below one bit is silence."""
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    return np.log(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1.0)


def join_outcomes(outcomes: Sequence[Outcome], separator: int | None) -> Outcome:
    """The n best outputs of a recording whose pieces were searched one by one.

    Scores of pieces add, so that the n best combinations follow from the lists.

    Args:
        outcomes: of the pieces, in order; at least one.
        separator: id of the token between words, put between two pieces; None: none.
    """
    size = max(len(outcome.nbest) for outcome in outcomes)
    joined = list(outcomes[0].nbest)
    for outcome in outcomes[1:]:
        pairs = [_join(a, b, separator) for a in joined for b in outcome.nbest]
        joined = sorted(pairs, key=lambda h: -h.score)[:size]
    limits = [outcome.longest for outcome in outcomes]
    return Outcome(
        joined,
        frames=sum(outcome.frames for outcome in outcomes),
        longest=-1 if min(limits) < 0 else sum(limits),
        shortest=sum(outcome.shortest for outcome in outcomes),
        ended=sum(outcome.ended for outcome in outcomes),
    )


def _join(left: Hypothesis, right: Hypothesis, separator: int | None) -> Hypothesis:
    begin, after = left.yseq[0], list(left.yseq[1:])
    while after and after[-1] == begin:  # its end symbol, where there is one
        after.pop()
    rest = right.yseq[1:]
    both = after and any(token != begin for token in rest)
    if both and separator is not None and separator not in (after[-1], rest[0]):
        after.append(separator)
    parts = {
        name: left.parts.get(name, 0.0) + right.parts.get(name, 0.0)
        for name in {**left.parts, **right.parts}
    }
    return Hypothesis([begin, *after, *rest], left.score + right.score, parts)
