"""Run jobs through a cluster's scheduler: submit them, wait, find out how they ended.

Each job leaves its exit code in a file (see :mod:`~espnet.jobs.script`); the scheduler
is asked now and then, so that a job that left none (cancelled, killed, lost with its
node) is not waited for.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from espnet.jobs.grammar import Request
from espnet.jobs.option_map import OptionMap, find_option_map
from espnet.jobs.outcome import Outcome
from espnet.jobs.script import job_script
from espnet.jobs.signals import end_with
from espnet.utils.errors import UserError
from espnet.utils.files import remove_folder

POLL = (0.1, 2.0)  # seconds between looks for exit codes: at first, later
ASK = (2.0, 30.0)  # seconds between questions to the scheduler: at first, later
SLOWER = 1.2  # each pause is so many times the one before
ANSWER = 60.0  # seconds that the scheduler has for an answer
SETTLE = 5.0  # seconds until an exit code is there of a job that was ended by force
LATENCY = 60.0  # and of one that ended by itself, on a slow network file system
SAID_LINES = 5  # of the scheduler's own messages, when a job fails
WARN_AFTER = 5  # questions in a row without an answer


@dataclass(frozen=True)
class Status:
    """What a scheduler says of a job.

    Attributes:
        alive: it runs, or will.
        words: why it ended, if not by itself, as the rest of "this job ...".
        code: 128 + S if signal S ended it.
        stuck: it will not run until somebody helps; ``words`` say why.
        waiting: it is in the queue (again, if it ran already).
    """

    alive: bool
    words: str = ""
    code: int | None = None
    stuck: bool = False
    waiting: bool = False


@dataclass(frozen=True)
class Scheduler:
    """What differs between schedulers.

    Attributes:
        title: its name in messages.
        config: the file of options in ``conf/``.
        array_job: what bash takes as the job's number in an array.
        arguments: ``(option map, request, log) -> `` what the submit command gets for
            the array and for the file of its own messages.
        identity: finds the submission's id in what the submit command prints.
        job_id: ``(id, job) -> `` the name of one job of an array.
        statuses: ``(id, jobs) -> {job: status}`` of those that it knows.
        cancel: the command that cancels the ids that follow.
        more: a command that tells more of the job in ``{}``.
    """

    title: str
    config: str
    array_job: str
    arguments: Callable[[OptionMap, Request, str], list[str]]
    identity: str
    job_id: Callable[[str, int], str]
    statuses: Callable[[str, Sequence[int]], dict[int, Status]]
    cancel: str
    more: str


class NoAnswerError(Exception):
    """The scheduler could not be asked; it may be down for a while."""


def ask(*words: str, unknown: str = r"\Z.") -> str:
    """What a scheduler's command prints; nothing if it says that the id is unknown.

    Args:
        unknown: what it then prints on stderr.

    Raises:
        NoAnswerError: it failed otherwise, or took too long.
    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=ANSWER
        )
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"no answer within {ANSWER:.0f} seconds") from None
    except OSError as error:
        raise NoAnswerError(str(error)) from None
    if done.returncode == 0:
        return done.stdout
    said = (done.stderr + done.stdout).strip()
    if re.search(unknown, said, re.IGNORECASE):
        return ""
    raise NoAnswerError(said or f"exit code {done.returncode}")


def run_on(scheduler: Scheduler, request: Request) -> dict[int, Outcome]:
    """Run the jobs of a request on a cluster and wait for them.

    Raises:
        UserError: the option map has mistakes or the jobs could not be submitted.
    """
    rules = find_option_map(request.options.get("config"), scheduler.config)
    submission = _Submission(scheduler, request, rules)
    with end_with(submission.cancel):
        try:
            submission.submit()
            outcomes = submission.wait()
        except BaseException:  # whatever it is, it must not leave jobs behind
            submission.cancel()
            raise
    remove_folder(submission.done)
    return outcomes


class _Submission:
    """Jobs that were submitted together, from the script to the last exit code."""

    def __init__(
        self, scheduler: Scheduler, request: Request, rules: OptionMap
    ) -> None:
        self.scheduler = scheduler
        self.request = request
        self.is_array = len(request.jobs) > 1
        folder, name = _queue_place(request)
        self.script = folder / f"{name}.sh"
        self.messages = folder / f"{name}.log"
        self.done = folder / f"done.{uuid.uuid4().hex}"
        self.command = [
            *rules.submit_command(request.options),
            *scheduler.arguments(rules, request, str(self.messages)),
            *(word for words in request.passed_on for word in words),
            str(self.script),
        ]
        self.answer = self.done / ".answer"
        self.submitting: subprocess.Popen[bytes] | None = None
        self.identity = ""
        self.left = dict.fromkeys(request.jobs, 0.0)  # job -> when it was missed first
        self.outcomes: dict[int, Outcome] = {}
        self.failures = 0

    def submit(self) -> None:
        """Write the script and hand it to the scheduler."""
        job = self.scheduler.array_job if self.is_array else str(self.request.first)
        text = job_script(self.request, job, str(self.done))
        shown = shlex.join(self.command)
        try:
            self.done.mkdir(parents=True)
            self.script.write_bytes(os.fsencode(f"{text}# submitted with: {shown}\n"))
            self.messages.unlink(missing_ok=True)
        except OSError as error:
            where = error.filename or self.script
            raise UserError(f"cannot run the job: {where}: {error.strerror}") from None
        try:
            with self.answer.open("wb") as stream:
                self.submitting = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for us; see cancel
                )
        except OSError as error:
            raise UserError(
                f"{self.command[0]}: {error.strerror}; is this a machine that submits "
                f"jobs to {self.scheduler.title}? cmd_backend in cmd.sh names another "
                "way to run jobs"
            ) from None
        said = self._answer(self.submitting, patience=float("inf"))
        if self.submitting.returncode != 0 or not self.identity:
            raise UserError(
                f"{self.scheduler.title} did not take the job (exit code "
                f"{self.submitting.returncode}): {said or 'it said nothing'}\n"
                f"the command was: {shown}"
            )

    def _answer(self, submitting: subprocess.Popen[bytes], patience: float) -> str:
        """Wait for the submit command's end; take the id out of what it says."""
        deadline = time.monotonic() + patience
        while submitting.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        said = self.answer.read_text(errors="replace").strip()
        match = re.search(self.scheduler.identity, said, re.MULTILINE)
        self.identity = match[1] if match else ""
        return said

    def wait(self) -> dict[int, Outcome]:
        """How each job ended, when all have."""
        poll, pause = POLL[0], ASK[0]
        question = time.monotonic() + pause
        while self.left:
            self._collect()
            if self.left and time.monotonic() >= question:
                self._question()
                pause = min(ASK[1], pause * SLOWER)
                question = time.monotonic() + pause
            if self.left:
                time.sleep(poll)
                poll = min(POLL[1], poll * SLOWER)
        return self.outcomes

    def cancel(self) -> None:
        """Cancel what is left, also if a signal came in the middle of submitting."""
        if self.submitting is not None and not self.identity:
            self._answer(self.submitting, patience=SETTLE)
        if self.identity and self.left:
            self._say(f"cancelling job {self.identity}")
            self._cancel([self.identity])
        remove_folder(self.done)

    def _cancel(self, identities: Sequence[str]) -> None:
        if not identities:
            return
        command = [*shlex.split(self.scheduler.cancel), *identities]
        try:
            ask(*command)
        except NoAnswerError as error:
            self._say(f"jobs are left; try '{shlex.join(command)}' later: {error}")

    def _collect(self) -> None:
        """Take the exit codes that are there."""
        kick = self.done / ".kick"  # makes a network file system look again
        with suppress(OSError):
            kick.touch()
            kick.unlink()
        with suppress(OSError):
            for path in list(self.done.iterdir()):
                if path.name.isdigit() and int(path.name) in self.left:
                    self._take(int(path.name), path)

    def _take(self, job: int, path: Path) -> None:
        text = path.read_text().strip()
        if not text.isdigit():
            return  # not all there yet
        code, reason = int(text), ""
        if code > 128:  # a signal: whose?
            status = self._final_status(job)
            if status.waiting:
                path.unlink()
                return self._say(f"{self._job_id(job)} was put back into the queue")
            reason = status.words
        self._end(job, Outcome(code, reason))

    def _final_status(self, job: int) -> Status:
        """What the scheduler says of a job once it has seen that it ended."""
        deadline = time.monotonic() + SETTLE
        status = Status(alive=True)
        while status.alive and not status.waiting and time.monotonic() < deadline:
            with suppress(NoAnswerError):
                statuses = self.scheduler.statuses(self.identity, [job])
                status = statuses.get(job, Status(alive=False))
            time.sleep(POLL[0])
        return status

    def _question(self) -> None:
        """Find the jobs that will leave no exit code."""
        try:
            statuses = self.scheduler.statuses(self.identity, list(self.left))
        except NoAnswerError as error:
            self.failures += 1
            if self.failures == WARN_AFTER:
                self._say(f"does not answer, still waiting for the jobs: {error}")
            return
        self.failures = 0
        now = time.monotonic()
        stuck = []
        for job, missed in list(self.left.items()):
            status = statuses.get(job, Status(alive=False))
            if status.alive and not status.stuck:
                self.left[job] = 0.0
            elif status.stuck:
                stuck.append(self._job_id(job))
                self._end(job, Outcome(None, f"{status.words}; it was cancelled"))
            elif not missed:
                self.left[job] = now
            elif now - missed > (SETTLE if status.words or status.code else LATENCY):
                unknown = "" if status.code else self._unknown(job)
                self._end(job, Outcome(status.code, status.words or unknown))
        self._cancel(stuck)

    def _end(self, job: int, outcome: Outcome) -> None:
        """Note how a job ended, and if not well, what the scheduler wrote."""
        del self.left[job]
        if outcome.code != 0:
            name = f"was {self.scheduler.title} job {self._job_id(job)}"
            reason = f"{outcome.reason} (it {name})" if outcome.reason else name
            outcome = replace(outcome, reason=reason, messages=self._messages())
        self.outcomes[job] = outcome

    def _messages(self) -> tuple[str, ...]:
        try:
            lines = self.messages.read_text(errors="replace").splitlines()
        except OSError:
            return ()
        said = [f"    {line}" for line in lines if line.strip()][-SAID_LINES:]
        title = f"{self.scheduler.title} wrote to {self.messages}:"
        return (title, *said) if said else ()

    def _unknown(self, job: int) -> str:
        more = self.scheduler.more.format(self._job_id(job))
        return (
            "has left the queue without an exit code: it was cancelled, killed or lost "
            f"with its node, or {self.done.parent.resolve()} is not shared with the "
            f"nodes; '{more}' may tell"
        )

    def _job_id(self, job: int) -> str:
        if not self.is_array:
            return self.identity
        return self.scheduler.job_id(self.identity, job)

    def _say(self, text: str) -> None:
        program = os.path.basename(sys.argv[0])
        print(f"{program}: {self.scheduler.title}: {text}", file=sys.stderr)


def _queue_place(request: Request) -> tuple[Path, str]:
    """Folder and name of the script: ``x/log/decode.JOB.log`` gives ``x/q``, decode."""
    text = request.log.replace(f".{request.name}", "") if request.name else request.log
    log = Path(request.fill(text, "all"))
    folder = log.parent.parent if log.parent.name in ("log", "LOG") else log.parent
    name = log.name.removesuffix(".log")
    return folder / "q", name if name[:1].isalpha() else f"job_{name}"


def array_range(request: Request) -> str:
    """The jobs as ``1-8``."""
    return f"{request.first}-{request.last}"


def throttle(request: Request) -> str:
    """``%4`` for ``--max-jobs-run 4``, else nothing."""
    return f"%{request.max_jobs_run}" if request.max_jobs_run else ""
