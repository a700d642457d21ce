"""What a set of minibatches looks like: sizes, padding, the longest utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espnet.utils.batchfy import RECOGNITION, Minibatch, Sides


@dataclass(frozen=True)
class BatchSummary:
    """What a set of minibatches looks like.

    Attributes:
        utterances: in all of them, those that come twice counted twice.
        sizes: of the smallest and of the largest.
        batches: how many there are.
        padding: share of the padded input frames that are padding, 0 to 1.
        longest: utterance id, input length and output length.
    """

    utterances: int
    sizes: tuple[int, int]
    batches: int
    padding: float
    longest: tuple[str, int, int]

    def __str__(self) -> str:
        least, most = self.sizes
        size = f"{least} to {most}" if least < most else f"{most}"
        plural = "es" if self.batches > 1 else ""
        uttid, ilen, olen = self.longest
        return (
            f"{self.utterances} utterances in {self.batches} minibatch{plural} of "
            f"{size}, {self.padding:.1%} padding; longest: {uttid}, {ilen} frames, "
            f"{olen} labels"
        )


def summarise(batches: Sequence[Minibatch], sides: Sides = RECOGNITION) -> BatchSummary:
    """Count sizes and padding, and find the longest input."""
    frames = padded = most = 0
    longest = batches[0][0]
    for batch in batches:
        lengths = [sides.input_shape(entry)[0] for _, entry in batch]
        widest = max(lengths)
        frames += sum(lengths)
        padded += widest * len(batch)
        if widest > most:
            most, longest = widest, batch[lengths.index(widest)]
    sizes = [len(batch) for batch in batches]
    uttid, entry = longest
    return BatchSummary(
        utterances=sum(sizes),
        sizes=(min(sizes), max(sizes)),
        batches=len(batches),
        padding=1 - frames / padded,
        longest=(uttid, int(most), int(sides.output_shape(entry)[0])),
    )
