"""The progress block below the table of a training log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import TextIO

BAR_WIDTH = 50
SPEED_WINDOW = 100  # reports that the speed is averaged over
ERASE_BELOW = "\033[J"
UP = "\033[{}A"


class ProgressBlock:
    """Shows how far training is and when it will end.

    In a file each report appends a block. On a terminal the block is drawn below the
    cursor and the next output takes its place.

    Args:
        epochs: at which training ends.
        updates_per_epoch: iterations of each.
        stream: where to write.
        clock: seconds.
    """

    def __init__(
        self,
        epochs: int,
        updates_per_epoch: int,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epochs = epochs
        self.updates_per_epoch = updates_per_epoch
        self.stream = stream
        self._redraws = stream.isatty()
        self._clock = clock
        self._seen: deque[tuple[int, float]] = deque(maxlen=SPEED_WINDOW)

    def start(self, iteration: int) -> None:
        """Begin to measure the speed."""
        self._seen.append((iteration, self._clock()))

    def show(self, iteration: int, position: float) -> None:
        """Draw the block.

        Args:
            iteration: updates done.
            position: epochs done, the running one by its share.
        """
        self._seen.append((iteration, self._clock()))
        lines = self._lines(iteration, position)
        text = "".join(f"{line}\n" for line in lines)
        if self._redraws:
            text = ERASE_BELOW + text + UP.format(len(lines))
        self.stream.write(text)
        self.stream.flush()

    def clear(self) -> None:
        """Make room on a terminal for other output."""
        if self._redraws:
            self.stream.write(ERASE_BELOW)

    def _lines(self, iteration: int, position: float) -> list[str]:
        epoch = int(position)
        total = position / self.epochs
        speed = self._speed()
        lines = [
            f"     total [{_bar(total)}] {total:.2%}",
            f"this epoch [{_bar(position - epoch)}] {position - epoch:.2%}",
            f"{iteration:10d} iter, {epoch} epoch / {self.epochs} epochs",
        ]
        if speed > 0:
            remaining = max(self.epochs - position, 0) * self.updates_per_epoch
            finish = timedelta(seconds=remaining / speed)
            lines.append(
                f"{speed:10.5g} iters/sec. Estimated time to finish: {finish}."
            )
        return lines

    def _speed(self) -> float:
        (first, begin), (last, end) = self._seen[0], self._seen[-1]
        return (last - first) / (end - begin) if end > begin else 0.0


def _bar(share: float) -> str:
    marks = min(int(share * BAR_WIDTH), BAR_WIDTH)
    return "#" * marks + "." * (BAR_WIDTH - marks)
