"""From a launcher's command line to its exit status, whatever the backend."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence

from espnet.jobs.grammar import USAGE, Request, parse
from espnet.jobs.outcome import Outcome
from espnet.utils.errors import run_command

Backend = Callable[[Request], Mapping[int, Outcome]]

HELP = f"""\
Usage: {{program}} {USAGE}

{{about}}

With JOB=1:N (or any other name) the command runs N times, with the job's number for
each JOB in it and in LOG, which gets the output. Operators of the shell are written
'|', '>', '&&'. Exit code 0 means that each job had that.

Options:
  --max-jobs-run N, -tc N   at most N jobs at once
  --gpu N, --mem 2G, --num-threads N, --time T, ...
                            what each job needs; on a cluster conf/slurm.conf and the
                            like say how to ask for it, run.pl only counts GPUs
  --config FILE             another file of that kind

More: doc/clusters.md
"""
TAIL_LINES = 20
TAIL_BYTES = 65536  # enough for TAIL_LINES of any log, cheap for a huge one


def launch(backend: Backend) -> None:
    """Run this process as a launcher: exit 0 only if each job succeeded, else 1."""
    run_command(lambda argv: run(sys.argv[1:] if argv is None else argv, backend))


def run(words: Sequence[str], backend: Backend) -> int:
    """Do what a launcher's arguments ask for; failures are reported on stderr.

    Args:
        words: the arguments without the program's name.
        backend: runs the jobs and says how each one ended.

    Returns:
        0 if each job ended with 0, else 1.

    Raises:
        UserError: the arguments are wrong, or the backend cannot start.
    """
    if words and words[0] in ("--help", "-h"):
        about = (sys.modules["__main__"].__doc__ or "").strip()
        print(HELP.format(program=os.path.basename(sys.argv[0]), about=about), end="")
        return 0
    request = parse(words)
    outcomes = backend(request)
    failed = {job: end for job, end in sorted(outcomes.items()) if end.code != 0}
    if failed:
        print(_failure(request, failed), file=sys.stderr)
    return 1 if failed else 0


def _failure(request: Request, failed: Mapping[int, Outcome]) -> str:
    """What went wrong, where to read about it, and how to try again."""
    program = os.path.basename(sys.argv[0])
    job, outcome = next(iter(failed.items()))
    log = request.fill(request.log, job)
    if len(request.jobs) == 1:
        lines = [f"job failed, log is in {log}"]
    else:
        numbers = ", ".join(str(n) for n in list(failed)[:10])
        numbers += ", ..." if len(failed) > 10 else ""
        every = request.fill(request.log, "*")
        count = f"{len(failed)} / {len(request.jobs)} failed"
        lines = [f"{count}, log is in {every} ({request.name} = {numbers})"]
    lines.append(f"the last lines of {log}:")
    lines += [f"    {line}" for line in _tail(log)]
    lines += outcome.words
    lines.append(f"run it again with: {_rerun(request, job)}")
    return "\n".join(f"{program}: {line}" for line in lines)


def _tail(log: str) -> list[str]:
    """The last lines of a job's own output."""
    try:
        with open(log, "rb") as stream:
            start = max(0, os.path.getsize(log) - TAIL_BYTES)
            stream.seek(start)
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError as error:
        return [f"(not readable: {error.strerror})"]
    frame = ("# Accounting: ", "# Ended (code ")
    lines = [line for line in lines if not line.startswith(frame)]
    if start == 0 and "#" in lines:  # it ends the lines before the job's own
        lines = lines[lines.index("#") + 1 :]
    return lines[-TAIL_LINES:] or ["(it printed nothing)"]


def _rerun(request: Request, job: int) -> str:
    """The command line for one job of those in the request."""
    words = list(request.words)
    if request.name is not None:
        given = [w for w in words if w.startswith(f"{request.name}=")]
        words[words.index(given[0])] = f"{request.name}={job}"
    program = sys.argv[0]
    name = os.path.basename(program)
    found = shutil.which(name)
    if found and os.path.realpath(found) == os.path.realpath(program):
        program = name
    setup = ". ./path.sh; " if os.path.exists("path.sh") else ""
    return setup + shlex.join([program, *words])
