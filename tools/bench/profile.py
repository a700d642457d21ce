"""Where the time of a case goes: JSON on stdout, shares of torch's operations.

python -m tools.bench.profile search_transformer one_utterance --threads 1
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from tools.bench.cases import CASES

LEAST = 0.005  # of the time; what takes less is summed up


def main() -> None:
    """Profile one piece of work of a case."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.profile", description=__doc__
    )
    parser.add_argument("case", choices=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument(
        "work", nargs="?", help="of the case; the first one if not given"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.set_num_threads(args.threads)
    works = CASES[args.case]()
    name = args.work or next(iter(works))
    if name not in works:
        parser.error(f"no work {name} in {args.case}; there are {', '.join(works)}")
    works[name]()
    with profile(activities=[ProfilerActivity.CPU]) as record:
        works[name]()
    events = record.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    events = sorted(events, key=lambda event: -event.self_cpu_time_total)
    shares = {
        event.key: {
            "share": round(event.self_cpu_time_total / total, 3),
            "calls": event.count,
        }
        for event in events
        if event.self_cpu_time_total >= LEAST * total
    }
    rest = 1.0 - sum(entry["share"] for entry in shares.values())
    result = {"work": f"{args.case}/{name}", "seconds": total * 1e-6}
    json.dump(
        {**result, "shares": shares, "rest": round(rest, 3)}, sys.stdout, indent=4
    )
    print()


if __name__ == "__main__":
    main()
