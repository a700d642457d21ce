"""Measure the hot paths: JSON on stdout, medians in seconds.

    python -m tools.bench                     # every case
    python -m tools.bench train_step search --repeats 9 --threads 2

Within a case the pieces of work take turns in one process, so their ratios hold even
where single times drift.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys

from tools.bench.cases import CASES
from tools.bench.timing import measure

HUGE_PAGES = "glibc.malloc.hugetlb=1"


def main() -> None:
    """Run the cases that were asked for and print their times."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=5, help="counted runs of each")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch")
    parser.add_argument(
        "--huge-pages", action="store_true", help="as the recipes' training has them"
    )
    args = parser.parse_args()
    if args.huge_pages and os.environ.get("GLIBC_TUNABLES") != HUGE_PAGES:
        environment = {**os.environ, "GLIBC_TUNABLES": HUGE_PAGES}
        command = [sys.executable, "-m", "tools.bench", *sys.argv[1:]]
        os.execve(sys.executable, command, environment)
    unknown = sorted(set(args.cases) - set(CASES))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    import torch

    torch.set_num_threads(args.threads)
    results = {
        name: measure(CASES[name](), args.repeats) for name in args.cases or CASES
    }
    machine = {
        "processor": platform.processor() or platform.machine(),
        "threads": args.threads,
        "torch": torch.__version__,
        "repeats": args.repeats,
        "huge_pages": os.environ.get("GLIBC_TUNABLES") == HUGE_PAGES,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    json.dump({"machine": machine, "cases": results}, sys.stdout, indent=4)
    print()


if __name__ == "__main__":
    main()
