"""Slurm, by sbatch, squeue and scancel."""

from __future__ import annotations

from collections.abc import Sequence

from espnet.jobs.cluster import Scheduler, Status, array_range, ask, run_on, throttle
from espnet.jobs.grammar import Request
from espnet.jobs.option_map import OptionMap
from espnet.jobs.outcome import Outcome

ENDED_BY_ITSELF = ("COMPLETED", "FAILED")
ENDED: dict[str, str] = {
    "CANCELLED": "was cancelled",
    "TIMEOUT": "was ended at its time limit; ask for more with --time",
    "OUT_OF_MEMORY": "was killed because it used more memory than it had asked for; "
    "ask for more with --mem",
    "NODE_FAIL": "was lost with its node",
    "BOOT_FAIL": "was lost because its node did not start",
    "PREEMPTED": "was ended to make room for a job of higher priority",
    "DEADLINE": "was ended at its deadline",
    "REVOKED": "was taken over by another cluster",
}
# reasons for which a job in the queue will never start by itself
STUCK = (
    *("BadConstraints", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS"),
    *("JobLaunchFailure", "launch_failed_requeued_held"),
    *("PartitionNodeLimit", "PartitionTimeLimit"),
)


def run_slurm(request: Request) -> dict[int, Outcome]:
    """Run the jobs of a request as a Slurm job, or an array of them.

    Raises:
        UserError: see :func:`~espnet.jobs.cluster.run_on`.
    """
    return run_on(SLURM, request)


def _arguments(rules: OptionMap, request: Request, log: str) -> list[str]:
    words = ["--output", log, "--open-mode=append"]
    if len(request.jobs) > 1:
        words += ["--array", array_range(request) + throttle(request)]
    return words


def _statuses(identity: str, jobs: Sequence[int]) -> dict[int, Status]:
    listing = ask(
        *("squeue", "--noheader", "--array", "--states=all", "--jobs", identity),
        *("--Format", "JobArrayID:|,State:|,exit_code:|,Reason:|"),
        unknown="invalid job id",
    )
    statuses = {}
    for line in listing.splitlines():
        name, state, code, reason = line.split("|")[:4]
        task = name.partition("_")[2]
        job = int(task) if task.isdigit() else jobs[0]
        statuses[job] = _status(state.strip(), code.strip(), reason.strip())
    return statuses


def _status(state: str, code: str, reason: str) -> Status:
    if state in ENDED_BY_ITSELF:
        # the bits of wait(2), or "exit code:signal"
        number = int(code) & 127 if code.isdigit() else int(code.partition(":")[2] or 0)
        return Status(alive=False, code=128 + number if number else None)
    if state in ENDED:
        return Status(alive=False, words=ENDED[state])
    if state == "PENDING":
        reason = reason.replace(" ", "_")
        words = f"will not start: Slurm's reason is {reason}"
        return Status(alive=True, words=words, stuck=reason in STUCK, waiting=True)
    return Status(alive=True)


SLURM = Scheduler(
    title="Slurm",
    config="slurm.conf",
    array_job="${SLURM_ARRAY_TASK_ID}",
    arguments=_arguments,
    identity=r"Submitted batch job (\d+)",
    job_id=lambda identity, job: f"{identity}_{job}",
    statuses=_statuses,
    cancel="scancel",
    more="sacct -j {}",
)
