"""Run pieces of work in turn and keep their times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]


def measure(works: Mapping[str, Work], repeats: int) -> dict[str, dict[str, float]]:
    """Median, least and greatest seconds of each piece of work.

    The pieces take turns (A B A B ...) after one turn that is not counted, so that a
    machine whose speed drifts is as unkind to one as to another.
    """
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return {
        name: {
            "median_s": statistics.median(values),
            "min_s": min(values),
            "max_s": max(values),
        }
        for name, values in seconds.items()
    }
