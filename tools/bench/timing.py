"""Run pieces of work in turn and keep their times."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Work = Callable[[], object]
FLOOR = "_products"  # ends the name of the bare products that a piece of work needs


@dataclass(frozen=True)
class Steps:
    """Work that consists of ``count`` equal steps."""

    work: Work
    count: int

    def __call__(self) -> object:
        """All of them."""
        return self.work()


@dataclass(frozen=True)
class Speech:
    """Work on so many seconds of speech."""

    work: Work
    seconds: float

    def __call__(self) -> object:
        """All of it."""
        return self.work()


def measure(works: Mapping[str, Work], repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of each piece of work: median, least and greatest, and least of the CPU;
    and the memory that it needs beyond what is there before (Linux).

    The pieces take turns (A B A B ...) after one turn that is not counted, so that a
    machine whose speed drifts is as unkind to one as to another. On a busy machine the
    CPU's time with one thread is what to trust.

    What stands beside its bare products gets ``times_floor``, the ratio of the least
    times, and ``times_floor_cpu``; what consists of steps gets the median ``step_s``;
    speech gets seconds per second of it, ``rtf``, and those of the CPU, ``rtf_cpu``.
    """
    for work in works.values():
        work()
    extra = {name: extra_memory(work) for name, work in works.items()}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    cpu: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            used, start = _cpu_seconds(), time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(_cpu_seconds() - used)
    results: dict[str, dict[str, float]] = {
        name: {
            "median_s": statistics.median(values),
            "min_s": min(values),
            "max_s": max(values),
            "cpu_min_s": min(cpu[name]),
            **extra[name],
        }
        for name, values in seconds.items()
    }
    for name, result in results.items():
        floor = results.get(name + FLOOR)
        if floor is not None:
            result["times_floor"] = result["min_s"] / floor["min_s"]
            result["times_floor_cpu"] = result["cpu_min_s"] / floor["cpu_min_s"]
        work = works[name]
        if isinstance(work, Steps):
            result["steps"] = work.count
            result["step_s"] = result["median_s"] / work.count
            result["step_cpu_s"] = result["cpu_min_s"] / work.count
        if isinstance(work, Speech):
            result["rtf"] = result["median_s"] / work.seconds
            result["rtf_cpu"] = result["cpu_min_s"] / work.seconds
    return results


def extra_memory(work: Work) -> dict[str, float]:
    """Run it; ``extra_mb``, by which the process grew at most, where that is known."""
    try:
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    except OSError:  # not Linux
        work()
        return {}
    work()
    return {"extra_mb": (_resident("VmHWM") - before) / 1e3}


def _resident(field: str) -> float:
    """kB of this process, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field)))


def _cpu_seconds() -> float:
    """What this process and the children that it waited for have used."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in whose]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
