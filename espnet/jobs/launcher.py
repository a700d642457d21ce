"""From a launcher's command line to its exit status, whatever the backend."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from espnet.jobs.grammar import Request, parse
from espnet.utils.errors import run_command

Backend = Callable[[Request], Mapping[int, int]]

TAIL_LINES = 20
TAIL_BYTES = 65536  # enough for TAIL_LINES of any log, cheap for a huge one
HEADER_LINES = 3
CODES: dict[int, str] = {
    126: "found, but not allowed to run; is its executable bit set?",
    127: "command not found; has path.sh been sourced?",
}
SIGNALS: dict[int, str] = {
    signal.SIGKILL: "probably out of memory",
    signal.SIGSEGV: "a crash in compiled code",
    signal.SIGPIPE: "the reader at the end of a pipe ended first",
}


def launch(backend: Backend) -> None:
    """Run this process as a launcher: exit 0 only if each job succeeded, else 1."""
    run_command(lambda argv: run(sys.argv[1:] if argv is None else argv, backend))


def run(words: Sequence[str], backend: Backend) -> int:
    """Do what a launcher's arguments ask for; failures are reported on stderr.

    Args:
        words: the arguments without the program's name.
        backend: runs the jobs and gives each one's exit code (see :func:`describe`).

    Returns:
        0 if each job ended with 0, else 1.

    Raises:
        UserError: the arguments are wrong, or the backend cannot start.
    """
    request = parse(words)
    codes = backend(request)
    failed = {job: code for job, code in sorted(codes.items()) if code != 0}
    if failed:
        print(_failure(request, failed), file=sys.stderr)
    return 1 if failed else 0


def describe(code: int) -> str:
    """An exit code in words; -S and 128 + S both say that signal S ended the job."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit code {code}" + (f": {CODES[code]}" if code in CODES else "")
    words = f"exit code {128 + number}: killed by signal {number} ({name})"
    return words + (f", {SIGNALS[number]}" if number in SIGNALS else "")


def _failure(request: Request, failed: Mapping[int, int]) -> str:
    """What went wrong, where to read about it, and how to try again."""
    program = os.path.basename(sys.argv[0])
    job, code = next(iter(failed.items()))
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
    lines.append(f"this job ended with {describe(code)}")
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
    if start == 0:
        lines = lines[HEADER_LINES:]
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
