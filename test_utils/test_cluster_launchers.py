"""queue.pl, pbs.pl, ssh.pl and queue-freegpu.pl, with clusters that are made up.

``fake_scheduler.sh`` stands for Grid Engine and PBS, a script that calls bash for ssh.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
UTILS = HERE.parent / "utils"
SCHEDULERS = [("queue.pl", "sge"), ("pbs.pl", "pbs")]
FAKE_SSH = """#!/bin/bash
while [ "$1" = -o ]; do shift 2; done
echo "$1" >> hosts
[ "$1" != down ] || { echo "ssh: cannot reach down" >&2; exit 255; }
shift
exec bash -c "$*"
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """``start("queue.pl", "sge", words...)`` in an empty folder, without PYTHONPATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("qsub", "qstat", "qdel"):
        (programs / name).symlink_to(HERE / "fake_scheduler.sh")
    (programs / "ssh").write_text(FAKE_SSH)
    (programs / "ssh").chmod(0o755)

    def call(program: str, dialect: str, *words: str) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        env = kept | {
            "PATH": f"{programs}:{UTILS}:{os.environ['PATH']}",
            "FAKE_FOLDER": str(programs),
            "FAKE_DIALECT": dialect,
        }
        return subprocess.Popen(
            [sys.executable, str(UTILS / program), *words],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return call


def run(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr; nothing must be on stdout."""
    out, err = process.communicate(timeout=30)
    assert out == ""
    return process.returncode, err


@pytest.mark.parametrize(("program", "dialect"), SCHEDULERS)
def test_jobs_run_with_their_numbers(
    start: Start, tmp_path: Path, program: str, dialect: str
) -> None:
    words = ["JOB=2:4", "log/x.JOB.log", "echo", "job JOB", ">out.JOB"]
    assert run(start(program, dialect, *words)) == (0, "")
    assert {p.name: p.read_text() for p in tmp_path.glob("out.*")} == {
        f"out.{n}": f"job {n}\n" for n in (2, 3, 4)
    }
    assert (tmp_path / "log/x.3.log").read_text().startswith('# echo "job 3" >out.3\n')


def test_one_job_is_no_array(start: Start, tmp_path: Path) -> None:
    assert run(
        start("queue.pl", "sge", "-sync", "y", "-q", "a.q", "x.log", "true")
    ) == (
        0,
        "",
    )
    assert (tmp_path / "programs/submitted").read_text() == (
        "-v PATH -cwd -S /bin/bash -j y -l arch=*64* -o q/x.log -q a.q q/x.sh\n"
    )


@pytest.mark.parametrize(("program", "dialect"), SCHEDULERS)
def test_failure_of_some_jobs(start: Start, program: str, dialect: str) -> None:
    command = "echo JOB; exit $((JOB == 2 ? 137 : 0))"
    process = start(program, dialect, "JOB=1:3", "x.JOB.log", "eval", command)
    code, err = run(process)
    assert code == 1
    lines = [line.removeprefix(f"{program}: ") for line in err.splitlines()]
    assert lines[:5] == [
        "1 / 3 failed, log is in x.*.log (JOB = 2)",
        "the last lines of x.2.log:",
        "    2",
        "this job ended with exit code 137: killed by signal 9 (SIGKILL), probably out "
        "of memory",
        {
            "sge": "this job was Grid Engine job 1.2",
            "pbs": "this job was PBS job 1[2].server",
        }[dialect],
    ]
    assert lines[-1] == (
        f"run it again with: {program} JOB=2 x.JOB.log eval '{command}'"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("program", "dialect", "deleted"),
    [("queue.pl", "sge", "1\n"), ("pbs.pl", "pbs", "1[].server\n")],
)
def test_ending_the_launcher_cancels_its_jobs(
    start: Start,
    tmp_path: Path,
    program: str,
    dialect: str,
    deleted: str,
    number: int,
) -> None:
    words = ["JOB=1:2", "x.JOB.log", "echo", "$$", ">pid.JOB;", "sleep", "99"]
    process = start(program, dialect, *words)
    pids = [when_written(tmp_path / f"pid.{job}") for job in (1, 2)]
    process.send_signal(number)
    assert process.wait(20) == -number
    assert (tmp_path / "programs/deleted").read_text() == deleted
    assert_gone(pids)
    assert sorted(path.name for path in (tmp_path / "q").glob("*.sh")) == ["x.sh"]
    assert not list((tmp_path / "q").glob("done.*"))


@pytest.mark.parametrize("name", ["--mem", "--men"])
def test_options_are_looked_up_in_the_recipe_first(
    start: Start, tmp_path: Path, name: str
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/queue.conf").write_text("command qsub\noption mem=* -l m=$0\n")
    code, err = run(start("queue.pl", "sge", name, "2G", "x.log", "true"))
    if name == "--mem":
        assert (code, err) == (0, "")
        submitted = (tmp_path / "programs/submitted").read_text()
        assert submitted == "-l m=2G -o q/x.log q/x.sh\n"
    else:
        assert code == 1
        assert err == (
            "queue.pl: error: option --men 2G: conf/queue.conf has no line 'option "
            "men=* ...' that says what the cluster gets (did you mean 'mem'?)\n"
        )


@pytest.mark.parametrize(
    ("listing", "count", "code", "chosen"),
    [("0 1 2", 1, 0, "1"), ("0 1 2", 2, 0, "1,2"), ("0", 1, 1, "-1")],
)
def test_queue_freegpu_takes_idle_gpus(
    start: Start, tmp_path: Path, listing: str, count: int, code: int, chosen: str
) -> None:
    smi = tmp_path / "programs/nvidia-smi"
    smi.write_text(
        "#!/bin/bash\ncase $1 in\n"
        "    *compute-apps*) echo GPU-0 ;;\n"
        f'    *) for n in {listing}; do echo "$n, GPU-$n"; done ;;\nesac\n'
    )
    smi.chmod(0o755)
    words = ["--config", "conf/gpu.conf", "--gpu", str(count), "x.log"]
    process = start(
        "queue-freegpu.pl", "sge", *words, "echo", "GPUs", "$CUDA_VISIBLE_DEVICES"
    )
    got, err = run(process)
    assert got == code
    log = (tmp_path / "x.log").read_text()
    if code == 0:
        assert f"\nGPUs {chosen}\n" in log
    else:
        assert "queue-freegpu.pl: error: no 1 idle GPUs on " in err
        free = [str(UTILS / "free-gpu.sh")]
        env = {"PATH": f"{smi.parent}:{os.environ['PATH']}"}
        done = subprocess.run(free, env=env, capture_output=True, text=True)
        assert (done.stdout, done.returncode) == (f"{chosen}\n", 1)


@pytest.mark.parametrize(
    ("backend", "commands"),
    [
        ("local", ["run.pl"] * 3),
        ("stdout", ["stdout.pl"] * 3),
        ("sge", ["queue.pl"] * 3),
        ("slurm", ["slurm.pl"] * 3),
        ("pbs", ["pbs.pl"] * 3),
        ("ssh", ["ssh.pl"] * 3),
        (
            "jhu",
            [
                "queue.pl --mem 2G",
                "queue-freegpu.pl --mem 2G --gpu 1 --config conf/gpu.conf",
                "queue.pl --mem 4G",
            ],
        ),
    ],
)
def test_one_line_of_cmd_sh_chooses(
    tmp_path: Path, backend: str, commands: list[str]
) -> None:
    text = (UTILS.parent / "egs/an4/asr1/cmd.sh").read_text()
    assert text.count("\ncmd_backend='local'\n") == 1
    (tmp_path / "cmd.sh").write_text(text.replace("'local'", backend, 1))
    show = "set -eu; . ./cmd.sh; printenv train_cmd cuda_cmd decode_cmd"
    done = subprocess.run(
        ["bash", "-c", show], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == commands
    for command in commands:
        assert os.access(UTILS / command.split()[0], os.X_OK)


# ---- ssh


def machines(folder: Path, text: str) -> None:
    (folder / ".queue").mkdir()
    (folder / ".queue/machines").write_text(text)


def test_ssh_deals_jobs_to_the_machines(start: Start, tmp_path: Path) -> None:
    machines(tmp_path, "# ours\none 2\n\ndown\nme@two 2 # new\n")
    words = ["JOB=1:8", "log/x.JOB.log", "echo", "JOB", ">out.JOB;", "sleep", "0.2"]
    code, err = run(start("ssh.pl", "", *words))
    assert code == 0
    assert err == ("ssh.pl: down is left out: ssh: cannot reach down\n")
    assert len(list(tmp_path.glob("out.*"))) == 8
    hosts = (tmp_path / "hosts").read_text().split()
    assert {*hosts} == {"one", "down", "me@two"}
    assert len(hosts) == 3 + 8
    assert [path.name for path in (tmp_path / ".queue").iterdir()] == ["machines"]


def test_ssh_failure(start: Start, tmp_path: Path) -> None:
    machines(tmp_path, "one\n")
    code, err = run(start("ssh.pl", "", "x.log", "echo", "oh;", "exit", "3"))
    assert code == 1
    assert "ssh.pl:     oh\n" in err
    assert "ssh.pl: this job ended with exit code 3\n" in err
    assert "ssh.pl: this job ran on one\n" in err


def test_ssh_gives_each_job_its_gpus(start: Start, tmp_path: Path) -> None:
    smi = tmp_path / "programs/nvidia-smi"
    smi.write_text('#!/bin/bash\nfor n in 0 1 2 3 4; do echo "GPU $n: x"; done\n')
    smi.chmod(0o755)
    machines(tmp_path, "one\n")
    words = ["--gpu", "2", "JOB=1:2", "x.JOB.log"]
    wait = "until [ -e gpus.1 ] && [ -e gpus.2 ]; do sleep 0.02; done"
    save = "echo $CUDA_VISIBLE_DEVICES >gpus.JOB; " + wait
    assert run(start("ssh.pl", "", *words, "eval", save)) == (0, "")
    assert {(tmp_path / f"gpus.{n}").read_text() for n in (1, 2)} == {"0,1\n", "2,3\n"}


def test_ending_ssh_pl_ends_its_jobs(start: Start, tmp_path: Path) -> None:
    machines(tmp_path, "one 2\n")
    words = ["JOB=1:3", "x.JOB.log", "echo", "$$", ">pid.JOB;", "sleep", "99"]
    process = start("ssh.pl", "", *words)
    pids = [when_written(tmp_path / f"pid.{job}") for job in (1, 2)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
    assert_gone(pids)
    assert not (tmp_path / "pid.3").exists()
    assert [path.name for path in (tmp_path / ".queue").iterdir()] == ["machines"]


def test_a_connection_that_is_lost_ends_the_job(start: Start, tmp_path: Path) -> None:
    machines(tmp_path, "one\n")
    ssh = tmp_path / "programs/ssh"
    text = ssh.read_text().replace("exec bash", "echo $$ > ssh.pid\nexec bash")
    ssh.write_text(text)
    words = ["x.log", "echo", "$$", ">pid;", "sleep", "99"]
    process = start("ssh.pl", "", *words)
    pid = when_written(tmp_path / "pid")
    os.kill(int((tmp_path / "ssh.pid").read_text()), signal.SIGKILL)
    code, err = run(process)
    assert code == 1
    assert "ssh.pl: this job was ended as the connection was lost on one: no m" in err
    assert_gone([pid])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ".queue/machines: has no machine in it"),
        ("one\ntwo many\n", ".queue/machines:2: 'two many' is not a machine's name"),
        ("-oProxy=x\n", ".queue/machines:1: '-oProxy=x' is not a machine's name"),
        ("down\n", ".queue/machines: none of its machines can run the jobs"),
    ],
)
def test_wrong_machines(start: Start, tmp_path: Path, text: str, message: str) -> None:
    machines(tmp_path, text)
    code, err = run(start("ssh.pl", "", "x.log", "true"))
    assert code == 1
    assert f"ssh.pl: error: {message}" in err


def test_ssh_needs_machines(start: Start) -> None:
    code, err = run(start("ssh.pl", "", "x.log", "true"))
    assert code == 1
    assert ".queue/machines: No such file or directory; write one machine in" in err


def when_written(path: Path) -> int:
    deadline = time.time() + 10
    while time.time() < deadline:
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{path} was not written")


def assert_gone(pids: list[int]) -> None:
    """None of these processes runs; one that is dead but not reaped does not."""
    deadline = time.time() + 10
    while any(is_running(pid) for pid in pids):
        assert time.time() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
