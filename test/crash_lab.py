"""Runs trainings that are killed: forks their processes, torch imported only once.

Started as a program; reads one JSON line ``{"argv": [...], "env": {...}}`` per training
and answers with the exit status of each process (negative: the signal).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
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
        return self.train_together(1, argv, output, **env)[0]

    def train_together(
        self,
        size: int,
        argv: list[str],
        output: Path,
        command: str = "asr_train",
        **env: object,
    ) -> list[int]:
        """Run one training in several processes, as torchrun would start them.

        Args:
            size: their number.
            argv: arguments of ``command``.
            output: gets the messages of the first.
            env: variables; ``NAME_OF_1`` is one for rank 1 alone.
        """
        assert self._server.stdin is not None and self._server.stdout is not None
        order = {
            "argv": argv,
            "output": str(output),
            "size": size,
            "command": command,
            "env": {name: str(value) for name, value in env.items()},
        }
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return [int(word) for word in self._server.stdout.readline().split()]


def _run(order: dict[str, Any], rank: int, port: int) -> int:
    from espnet.utils.errors import run_command

    main = importlib.import_module(f"espnet.bin.{order['command']}").main
    stream = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    for name, value in order["env"].items():
        plain, mark, of_rank = name.partition("_OF_")
        if not mark or int(of_rank) == rank:
            os.environ[plain] = value
    if order["size"] > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": order["size"]}
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({k: str(v) for k, v in {**place, **meeting}.items()})
    _kill_at_rename(int(order["env"].get("TINY_KILL_BEFORE", -1)), before=True)
    _kill_at_rename(int(order["env"].get("TINY_KILL_AFTER", -1)), before=False)
    sys.argv = [f"{order['command']}.py", *order["argv"]]
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
    for slow in (
        *("tiny_recogniser", "espnet.asr.train", "espnet.lm.train", "torch._dynamo"),
        *("espnet.train.launch", "espnet.nets.pytorch_backend.e2e_asr_conformer"),
    ):
        importlib.import_module(slow)  # once, before the forks
    from espnet.train.plot import Studio

    os.fsync = lambda _: None  # it is not the power that fails here
    Studio.post = lambda *_: None  # type: ignore[method-assign]
    for line in sys.stdin:
        order = json.loads(line)
        port = _free_port()
        children = []
        for rank in range(order["size"]):
            children.append(os.fork())
            if children[-1] == 0:
                os._exit(_flushed(_run(order, rank, port)))
        ends = [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children]
        print(*ends, flush=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _flushed(status: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve()
