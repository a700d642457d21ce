"""Grid Engine (SGE, Univa, Altair), by qsub, qstat and qdel."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from espnet.jobs.cluster import Scheduler, Status, array_range, ask, run_on
from espnet.jobs.grammar import Request
from espnet.jobs.option_map import OptionMap
from espnet.jobs.outcome import Outcome


def run_sge(request: Request) -> dict[int, Outcome]:
    """Run the jobs of a request as a job of Grid Engine, or an array of them.

    Raises:
        UserError: see :func:`~espnet.jobs.cluster.run_on`.
    """
    # "-sync y" would make qsub wait, which is done here, and fail with the job
    passed_on = tuple(words for words in request.passed_on if words[0] != "-sync")
    return run_on(SGE, replace(request, passed_on=passed_on))


def run_sge_free_gpu(request: Request) -> dict[int, Outcome]:
    """As :func:`run_sge`, but each job looks for ``--gpu`` idle GPUs when it starts.

    Raises:
        UserError: as run_sge.
    """
    count = request.number("gpu", 0)
    if count:
        choice = (
            f"CUDA_VISIBLE_DEVICES=$(free-gpu.sh -n {count}) || "
            "{ echo queue-freegpu.pl: error: no "
            f"{count} idle GPUs on ${{HOSTNAME}} >&2; exit 1; }}; "
            "export CUDA_VISIBLE_DEVICES; "
        )
        request = replace(request, command=choice + request.command)
    return run_sge(request)


def _arguments(rules: OptionMap, request: Request, log: str) -> list[str]:
    words = ["-o", log]
    if len(request.jobs) > 1:
        words += ["-t", array_range(request)]
        limit = request.max_jobs_run
        words += ["-tc", str(limit)] if limit else []
    return words


def _statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
    """From qstat's rows: id prior name user state date time [queue] slots [tasks]."""
    statuses = {}
    for line in ask("qstat", "-u", getpass.getuser()).splitlines():
        words = line.split()
        if len(words) < 8 or words[0] != identity:
            continue
        rest = [word for word in words[7:] if "@" not in word]
        tasks = _tasks(rest[1]) if len(rest) > 1 else jobs
        statuses.update(dict.fromkeys(tasks, _status(words[4])))
    return statuses


def _tasks(text: str) -> Iterator[int]:
    """The numbers in ``1-7:2,9``."""
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match:
            first = int(match[1])
            yield from range(first, int(match[2] or first) + 1, int(match[3] or 1))


def _status(letters: str) -> Status:
    if "E" in letters:
        words = f"could not be started: Grid Engine shows it as {letters}"
        return Status(alive=True, words=words, stuck=True)
    if "d" in letters:
        return Status(alive=False, words="was deleted")
    return Status(alive=True, waiting="q" in letters)


SGE = Scheduler(
    title="Grid Engine",
    config="queue.conf",
    array_job="${SGE_TASK_ID}",
    arguments=_arguments,
    identity=r"^Your job(?:-array)? (\d+)",
    job_id=lambda identity, job: f"{identity}.{job}",
    statuses=_statuses,
    cancel="qdel",
    more="qacct -j {}",
)
