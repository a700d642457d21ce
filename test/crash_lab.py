"""Runs trainings that are killed: forks one process each, torch imported only once.

Started as a program; reads one JSON line ``{"argv": [...], "env": {...}}`` per training
and answers with its exit status (negative: the signal).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class CrashLab:
    """A server process that forks trainings."""

    def __enter__(self) -> CrashLab:
        path = os.pathsep.join([str(HERE.parent), str(HERE)])
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def train(self, argv: list[str], output: Path, **env: object) -> int:
        """Run one training; its messages go to a file. Returns the exit status."""
        assert self._server.stdin is not None and self._server.stdout is not None
        order = {
            "argv": argv,
            "output": str(output),
            "env": {name: str(value) for name, value in env.items()},
        }
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


def _run(order: dict[str, Any]) -> int:
    from espnet.bin.asr_train import main
    from espnet.utils.errors import run_command

    stream = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.environ.update(order["env"])
    _kill_at_rename(int(order["env"].get("TINY_KILL_BEFORE", -1)), before=True)
    _kill_at_rename(int(order["env"].get("TINY_KILL_AFTER", -1)), before=False)
    sys.argv = ["asr_train.py", *order["argv"]]
    try:
        run_command(main)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _kill_at_rename(number: int, before: bool) -> None:
    """Kill this process before or after the number-th file that takes its name."""
    rename = os.replace
    count = 0

    def replace(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    if number > 0:
        os.replace = replace


def _serve() -> None:
    for slow in ("tiny_recogniser", "espnet.asr.train", "torch._dynamo"):
        importlib.import_module(slow)  # once, before the forks
    from espnet.train.plot import Studio

    os.fsync = lambda _: None  # it is not the power that fails here
    Studio.post = lambda *_: None  # type: ignore[method-assign]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_flushed(_run(json.loads(line))))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


def _flushed(status: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve()
