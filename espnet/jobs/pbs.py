"""PBS (OpenPBS, PBS Pro, Torque), by qsub, qstat and qdel."""

from __future__ import annotations

import re
from collections.abc import Sequence

from espnet.jobs.cluster import Scheduler, Status, array_range, ask, run_on, throttle
from espnet.jobs.grammar import Request
from espnet.jobs.option_map import OptionMap
from espnet.jobs.outcome import Outcome

GONE = r"unknown job|has finished|does not exist|unknown or illegal job"


def run_pbs(request: Request) -> dict[int, Outcome]:
    """Run the jobs of a request as a job of PBS, or an array of them.

    Raises:
        UserError: see :func:`~espnet.jobs.cluster.run_on`.
    """
    return run_on(PBS, request)


def _arguments(rules: OptionMap, request: Request, log: str) -> list[str]:
    words = ["-j", "oe", "-o", log]
    if len(request.jobs) > 1:
        jobs = array_range(request) + throttle(request)
        asking = rules.options.get("array", {}).get("*", ["-J", "$0"])
        words += [word.replace("$0", jobs) for word in asking]
    return words


def _statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
    """From the rows of qstat: id, name, user, time, state, queue."""
    statuses = {}
    for line in ask("qstat", "-t", identity, unknown=GONE).splitlines():
        words = line.split()
        match = re.match(r"\d+(?:\[(\d*)\])?(?:\.|$)", words[0]) if words else None
        if match is None or len(words) < 6 or match[1] == "":  # the array as a whole
            continue
        status = _status(words[-2])
        statuses.update(
            {int(match[1]): status} if match[1] else dict.fromkeys(jobs, status)
        )
    return statuses


def _status(letter: str) -> Status:
    if letter in "CFX":  # complete, finished, expired
        return Status(alive=False)
    return Status(alive=True, waiting=letter in "QHW")


PBS = Scheduler(
    title="PBS",
    config="pbs.conf",
    array_job="${PBS_ARRAY_INDEX:-${PBS_ARRAYID}}",
    arguments=_arguments,
    identity=r"^(\d+(?:\[\])?(?:\.\S+)?)\s*$",
    job_id=lambda identity, job: identity.replace("[]", f"[{job}]"),
    statuses=_statuses,
    cancel="qdel",
    more="qstat -x -f {}",
)
