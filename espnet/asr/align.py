"""Where the tokens of a text are in a recording: the best path through CTC's lattice.

The lattice has a blank before, between and after N tokens (Graves et al., 2006). Where
a text is a part of the recording only, anything may be said in its outer blanks, which
is the CTC segmentation of Kürzinger et al., "CTC-Segmentation of Large Corpora for
German End-to-End Speech Recognition", SPECOM 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from espnet.nets.scorer_interface import TransducerScorer
from espnet.utils.errors import UserError

BLANK = 0
# seconds that a token is taken to last before and after the frames that read it: CTC
# speaks late, and briefly (measured on digits, see doc/decoding.md)
TOKEN_BEFORE, TOKEN_AFTER = 0.2, 0.1
NEVER = -1e30  # a log-probability that no path wins with


class TooShort(Exception):
    """The text needs more frames than there are.

    Attributes:
        needed: frames that the text needs at least.
        frames: those that there are.
    """

    def __init__(self, needed: int, frames: int) -> None:
        super().__init__(f"the text needs {needed} frames, there are {frames}")
        self.needed = needed
        self.frames = frames


@dataclass(frozen=True)
class Alignment:
    """The best path of N tokens through T frames.

    Attributes:
        first: the first frame of each token (N,).
        last: its last one, included (N,).
        peaks: the highest log-posterior of each token in its frames (N,).
        log_probs: of what the path reads in each frame (T,).
        score: log-probability of the path.
    """

    first: np.ndarray
    last: np.ndarray
    peaks: np.ndarray
    log_probs: np.ndarray
    score: float

    def boundaries(self, before: float, after: float) -> tuple[np.ndarray, np.ndarray]:
        """Start and end of each token (N,), in frames.

        Tokens meet in the middle of what is between them, but none goes further than
        ``before`` and ``after`` frames beyond those in which it was read.
        """
        begin, end = self.first.astype(float), self.last + 1.0
        if len(begin) == 0:
            return begin, end
        middle = (end[:-1] + begin[1:]) / 2
        lowest = np.concatenate([[0.0], middle])
        highest = np.concatenate([middle, [float(len(self.log_probs))]])
        return np.maximum(lowest, begin - before), np.minimum(highest, end + after)


def frames_needed(tokens: Sequence[int] | np.ndarray) -> int:
    """The fewest frames of a text: one a token, and a blank between equal ones."""
    ids = np.asarray(tokens)
    return len(ids) + int((ids[1:] == ids[:-1]).sum())


def align(
    log_probs: np.ndarray,
    tokens: Sequence[int] | np.ndarray,
    *,
    gaps: np.ndarray | None = None,
    gap_scores: np.ndarray | None = None,
    window: int | None = None,
    max_window: int = 10**9,
    blank: int = BLANK,
) -> Alignment:
    """The best path of a text.

    Args:
        log_probs: CTC's log-posteriors (T, V).
        tokens: ids of the text (N,).
        gaps: kind of what is before, between and after the tokens (N + 1,): 0 is blank,
            k counts as column k - 1 of ``gap_scores``. None: all are blank.
        gap_scores: log-probabilities of the other kinds (T, K).
        window: follow paths only within so many frames around the diagonal, which
            bounds time and memory. It is doubled where the best path comes to its edge;
            None: the whole lattice.
        max_window: what ``window`` may be doubled to.
        blank: its id.

    Raises:
        TooShort: the text needs more frames.
        UserError: the best path leaves the largest window.
    """
    ids = np.asarray(tokens, dtype=np.int64)
    needed, frames = frames_needed(ids), len(log_probs)
    if needed > frames:
        raise TooShort(needed, frames)
    kinds = np.zeros(len(ids) + 1, dtype=np.int64) if gaps is None else gaps
    between = log_probs[:, blank : blank + 1].astype(np.float64)
    if gap_scores is not None:
        between = np.concatenate([between, gap_scores], 1)
    width = frames if window is None else max(2, window)
    lattice = _Lattice(ids, kinds, between, width)
    states = lattice.best_path(log_probs)
    while states is None:
        if width >= max_window:
            raise UserError(
                f"the best path leaves the window of {width} frames around the "
                "diagonal; is it the right text? A larger --max-window-size allows it"
            )
        width = min(2 * width, max_window)
        lattice = _Lattice(ids, kinds, between, width)
        states = lattice.best_path(log_probs)
    reading = states % 2 == 1
    path = between[np.arange(frames), kinds[states // 2]]
    path[reading] = log_probs[reading, ids[states[reading] // 2]]
    peaks = np.full(len(ids), -np.inf)
    np.maximum.at(peaks, states[reading] // 2, path[reading])
    places = np.arange(len(ids)) * 2 + 1
    return Alignment(
        np.searchsorted(states, places, side="left"),
        np.searchsorted(states, places, side="right") - 1,
        peaks,
        path,
        float(path.sum()),
    )


def spread(frames: int, count: int) -> Alignment:
    """So many tokens evenly over the frames: a guess, where no path exists."""
    places = np.arange(count) * max(1, frames) // max(1, count)
    return Alignment(places, places, np.full(count, NEVER), np.zeros(frames), NEVER)


class _Lattice:
    """Scores of all states in one frame, and the way to each of them in every frame.

    State 2n is the blank before token n, state 2n + 1 the token.
    """

    def __init__(
        self, ids: np.ndarray, kinds: np.ndarray, between: np.ndarray, window: int
    ) -> None:
        frames, count = len(between), len(ids)
        self.ids, self.frames = ids, frames
        self.kinds, self.between = kinds, between
        self.blanks = np.full(count + 1, NEVER)
        self.labels = np.full(count, NEVER)
        self.blanks[0] = 0.0  # before the first frame
        different = np.ones(count, dtype=bool)
        different[1:] = ids[1:] != ids[:-1]
        self.repeat = np.where(different, 0.0, NEVER)  # blank between equal tokens
        half = window * count / frames / 2 + 1
        centres = count * (np.arange(frames) + 0.5) / frames
        self.low = np.maximum(0, (centres - half).astype(int))  # tokens followed
        self.high = np.minimum(count, (centres + half).astype(int) + 1)
        self.trace: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def best_path(self, log_probs: np.ndarray) -> np.ndarray | None:
        """The state of each frame (T,), from 0 or 1 to 2N - 1 or 2N.

        None if it comes to the edge of the window, so that a better one may be outside.
        """
        for t in range(self.frames):
            self._step(t, int(self.low[t]), int(self.high[t]), log_probs[t])
        states = self._trace_back()
        token, count = states // 2, len(self.ids)
        at_edge = (token <= self.low) & (self.low > 0)
        at_edge |= (token >= self.high - 1) & (self.high < count)
        return None if at_edge.any() else states

    def _step(self, t: int, low: int, high: int, log_probs: np.ndarray) -> None:
        """Read frame t (V,), following the tokens [low, high)."""
        if low:
            self.blanks[:low] = NEVER
            self.labels[:low] = NEVER
        blanks = self.blanks[low : high + 1]
        labels = self.labels[low:high]
        previous = np.full(high - low + 1, NEVER)  # the token before each blank
        previous[1:] = labels
        from_label = previous > blanks
        moved = blanks[:-1] > labels
        entry = np.where(moved, blanks[:-1], labels)
        jump = previous[:-1] + self.repeat[low:high]
        jumped = jump > entry
        cost = self.between[t, self.kinds[low : high + 1]]
        new_blanks = np.where(from_label, previous, blanks) + cost
        new_labels = np.where(jumped, jump, entry) + log_probs[self.ids[low:high]]
        self.blanks[low : high + 1] = new_blanks
        self.labels[low:high] = new_labels
        self.trace.append(
            (np.packbits(from_label), np.packbits(moved), np.packbits(jumped))
        )

    def _trace_back(self) -> np.ndarray:
        count = len(self.ids)
        state = 2 * count
        if count and self.labels[-1] > self.blanks[-1]:
            state -= 1
        states = np.empty(self.frames, dtype=np.int64)
        for t in range(self.frames - 1, -1, -1):
            states[t] = state
            place = state // 2 - int(self.low[t])
            from_label, moved, jumped = (_bit(way, place) for way in self.trace[t])
            if state % 2 == 0:
                state -= from_label
            else:
                state -= 2 if jumped else moved
        return states


def _bit(packed: np.ndarray, place: int) -> int:
    """Bit ``place`` of what np.packbits made; 0 where it has none."""
    byte = place >> 3
    if not 0 <= byte < len(packed):
        return 0
    return int(packed[byte]) >> (7 - (place & 7)) & 1


@torch.no_grad()
def align_transducer(
    scorer: TransducerScorer, memory: Tensor, tokens: Sequence[int]
) -> Alignment:
    """The best path of a text through a Transducer's lattice (Graves, 2012).

    A token takes no time there: ``first`` and ``last`` are the frame that emits it.

    Args:
        scorer: of the model.
        memory: encoder output (T, E).
        tokens: ids of the text (N,).
    """
    frames = scorer.frames(memory[None])[0]
    blanks, labels = _transducer_scores(scorer, frames, tokens)
    total = np.concatenate([np.zeros((1, blanks.shape[1])), blanks.cumsum(0)])
    best = total[:-1, 0]  # of arriving at each frame with nothing emitted (T,)
    ways = []
    for n in range(len(tokens)):
        # from here on, waiting costs the blanks of one more token
        gain = best + labels[:, n] - total[:-1, n + 1]
        highest = np.maximum.accumulate(gain)
        where = np.where(gain == highest, np.arange(len(gain)), 0)
        ways.append(np.maximum.accumulate(where))
        best = highest + total[:-1, n + 1]
    score = float(best[-1] + blanks[-1, -1])
    emitted = np.empty(len(tokens), dtype=np.int64)
    t = len(frames) - 1
    for n in range(len(tokens) - 1, -1, -1):
        emitted[n] = t = ways[n][t]
    peaks = labels[emitted, np.arange(len(tokens))]
    read = np.searchsorted(emitted, np.arange(len(frames)), side="right")
    path = blanks[np.arange(len(frames)), read]
    return Alignment(emitted, emitted, peaks, path, score)


def _transducer_scores(
    scorer: TransducerScorer, frames: Tensor, tokens: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Log-posteriors of blank (T, N + 1) and of each next token (T, N)."""
    prefix: tuple[int, ...] = (BLANK,)
    state = scorer.initial()
    blanks, labels = [], []
    for token in [*tokens, BLANK]:
        vector, (state,) = scorer.read([prefix], [state])
        logits = scorer.logits(frames, vector)
        log_probs = logits.double().log_softmax(-1)
        blanks.append(log_probs[:, BLANK].cpu().numpy())
        labels.append(log_probs[:, token].cpu().numpy())
        prefix = (*prefix, token)
    return np.stack(blanks, 1), np.stack(labels[:-1] or [np.empty(len(frames))], 1)[
        :, : len(tokens)
    ]
