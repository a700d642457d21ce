"""slurm.pl with a real Slurm: ``slurm_cluster.sh`` starts one of one node for them.

Debian's packages slurm-wlm and munge, and root, are needed. All are marked as slow: the
whole takes two minutes, of which Slurm's own pace is the most.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SLURM_PL = ROOT / "utils" / "slurm.pl"

pytestmark = pytest.mark.slow
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment for the commands of a cluster that has just been started."""
    folder = tmp_path_factory.mktemp("slurm")
    script = [str(HERE / "slurm_cluster.sh")]
    started = subprocess.run(
        [*script, "start", str(folder)], capture_output=True, text=True
    )
    try:
        if started.returncode != 0:
            pytest.skip(f"no Slurm here: {started.stderr.strip()}")
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        path = f"{Path(sys.executable).parent}:{kept['PATH']}"
        yield {**kept, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([*script, "stop", str(folder)], check=True)


@pytest.fixture
def start(slurm: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """``start("JOB=1:8", "x.JOB.log", ...)``: slurm.pl in an empty folder."""
    launchers = []

    def call(*words: str) -> subprocess.Popen[str]:
        launchers.append(
            subprocess.Popen(
                [sys.executable, str(SLURM_PL), *words],
                cwd=tmp_path,
                env=slurm,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return launchers[-1]

    yield call
    for launcher in launchers:
        launcher.terminate()
        launcher.wait(20)


@pytest.fixture
def tell(slurm: dict[str, str]) -> Callable[..., str]:
    """``tell("squeue", "-h")``: what a command of Slurm prints."""

    def call(*words: str) -> str:
        done = subprocess.run(words, env=slurm, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def failure(launcher: subprocess.Popen[str], timeout: float = 90) -> list[str]:
    """What it says on stderr when it fails, without its name."""
    out, err = launcher.communicate(timeout=timeout)
    assert (launcher.returncode, out) == (1, ""), err
    return [line.removeprefix("slurm.pl: ") for line in err.splitlines()]


def when(path: Path, pattern: str = r"# Started at .*\n#\n") -> str:
    """Wait until a log has what is looked for: by default, until the job runs."""
    deadline = time.time() + 60
    while time.time() < deadline:
        match = re.search(pattern, path.read_text()) if path.exists() else None
        if match:
            return match[match.lastindex or 0]
        time.sleep(0.1)
    raise AssertionError(f"{path} has no {pattern}")


def test_an_array_of_eight(start: Start, tmp_path: Path) -> None:
    launcher = start(
        *("--max-jobs-run", "2", "--mem", "500M", "--num-threads", "1", "JOB=1:8"),
        *("log/x.JOB.log", "echo", "job JOB is", "$SLURM_ARRAY_TASK_ID"),
    )
    assert launcher.communicate(timeout=90) == ("", "")
    assert launcher.returncode == 0
    for job in range(1, 9):
        lines = (tmp_path / f"log/x.{job}.log").read_text().splitlines()
        assert lines[0] == f'# echo "job {job} is" $SLURM_ARRAY_TASK_ID'
        assert lines[1].startswith("# Running on ")
        assert lines[2].startswith("# Started at ")
        assert lines[3:5] == ["#", f"job {job} is {job}"]
        assert lines[5].startswith("# Accounting: time=")
        assert lines[6].startswith("# Ended (code 0) at ")
    script = (tmp_path / "q/x.sh").read_text()
    assert script.endswith(
        "# submitted with: sbatch --mem=500M --output q/x.log --open-mode=append "
        "--array 1-8%2 q/x.sh\n"
    )


def test_one_fails(start: Start) -> None:
    command = "echo working on JOB; [ JOB -ne 2 ]"
    lines = failure(start("JOB=1:3", "log/x.JOB.log", "eval", command))
    assert lines[:4] == [
        "1 / 3 failed, log is in log/x.*.log (JOB = 2)",
        "the last lines of log/x.2.log:",
        "    working on 2",
        "this job ended with exit code 1",
    ]
    assert re.fullmatch(r"this job was Slurm job \d+_2", lines[4])
    assert lines[5].endswith(f"slurm.pl JOB=2 log/x.JOB.log eval '{command}'")


def test_one_is_cancelled(
    start: Start, tell: Callable[..., str], tmp_path: Path
) -> None:
    launcher = start("JOB=1:2", "x.JOB.log", "sleep", "$((JOB * 60 - 55))")
    when(tmp_path / "x.2.log")
    (array,) = {*tell("squeue", "--noheader", "--format", "%F", "-n", "x.sh").split()}
    tell("scancel", f"{array}_2")
    lines = failure(launcher)
    assert lines[0] == "1 / 2 failed, log is in x.*.log (JOB = 2)"
    assert f"this job was cancelled (it was Slurm job {array}_2)" in lines


def test_one_is_cancelled_before_it_starts(
    start: Start, tell: Callable[..., str], tmp_path: Path
) -> None:
    launcher = start("-tc", "1", "JOB=1:2", "x.JOB.log", "sleep", "5")
    when(tmp_path / "x.1.log")
    (array,) = {*tell("squeue", "--noheader", "--format", "%F", "-n", "x.sh").split()}
    tell("scancel", f"{array}_2")
    lines = failure(launcher)
    assert "    (not readable: No such file or directory)" in lines
    assert f"this job was cancelled (it was Slurm job {array}_2)" in lines


def test_one_needs_more_memory_than_it_asked_for(start: Start) -> None:
    hog = "import time; x = b'x' * 300_000_000; time.sleep(60)"
    lines = failure(start("--mem", "100M", "x.log", "python3", "-c", hog))
    assert (
        "this job ended with exit code 137: killed by signal 9 (SIGKILL), probably out "
        "of memory"
    ) in lines
    assert any("exceeded memory limit" in line for line in lines)


def test_one_needs_more_time_than_it_asked_for(
    start: Start, tell: Callable[..., str], tmp_path: Path
) -> None:
    """Slurm counts in minutes, and looks each half minute; we move the end nearer."""
    launcher = start("--time", "1", "x.log", "sleep", "300")
    when(tmp_path / "x.log")
    (job,) = tell("squeue", "--noheader", "--format", "%i", "-n", "x.sh").split()
    tell("scontrol", "update", f"JobId={job}", "EndTime=now+1")
    lines = failure(launcher)
    assert "this job ended with exit code 143: killed by signal 15 (SIGTERM)" in lines
    assert (
        "this job was ended at its time limit; ask for more with --time (it was Slurm "
        f"job {job})"
    ) in lines
    assert any("DUE TO TIME LIMIT" in line for line in lines)


def test_the_node_is_lost(
    start: Start, tell: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/slurm.conf").write_text("command sbatch --no-requeue\n")
    launcher = start("x.log", "sleep", "300")
    when(tmp_path / "x.log")
    node = tell("sinfo", "--noheader", "--format", "%n").strip()
    tell("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    lines = failure(launcher)
    assert any(line.startswith("this job was lost with its node (it") for line in lines)
    while tell("sinfo", "--noheader", "--format", "%t").strip() != "idle":
        time.sleep(0.5)  # it comes back by itself (ReturnToService)


def test_a_request_that_no_node_can_fulfil(start: Start) -> None:
    lines = failure(start("--mem", "900G", "x.log", "true"))
    assert lines[0].startswith("error: Slurm did not take the job (exit code 1): ")
    assert "Memory specification can not be satisfied" in lines[0]
    assert lines[-1] == (
        "error: the command was: sbatch --mem=900G --output q/x.log "
        "--open-mode=append q/x.sh"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_launcher_cancels_its_jobs(
    start: Start, tell: Callable[..., str], tmp_path: Path, number: int
) -> None:
    launcher = start("JOB=1:3", "x.JOB.log", "sleep", "300")
    when(tmp_path / "x.1.log")
    launcher.send_signal(number)
    assert launcher.wait(20) == -number
    deadline = time.time() + 20
    while tell("squeue", "--noheader", "-n", "x.sh") and time.time() < deadline:
        time.sleep(0.2)
    assert tell("squeue", "--noheader", "-n", "x.sh") == ""


def test_a_recipe_from_recordings_to_scores(
    slurm: dict[str, str], kits: Path, tmp_path: Path
) -> None:
    """yesno by Slurm alone, with a training that is too short to learn anything."""
    recipe = copy_of("yesno", tmp_path)
    text = (recipe / "cmd.sh").read_text()
    assert "cmd_backend='local'" in text
    (recipe / "cmd.sh").unlink()  # a link
    (recipe / "cmd.sh").write_text(text.replace("'local'", "slurm"))
    (recipe / "small.yaml").write_text(
        "etype: blstmp\nelayers: 1\nsubsample: '1_4'\neunits: 8\ndunits: 8\nepochs: 1\n"
        "batch-size: 8\nnum-save-attention: 0\nnum-save-ctc: 0\n"
    )
    options = ["--datadir", str(kits), "--train-config", "small.yaml", "--verbose", "0"]
    options += ["--mixed", "0"]
    done = subprocess.run(
        ["./run.sh", *options], cwd=recipe, env=slurm, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^\|decode_test_decode_nolm\|29\|232\|", done.stdout, re.MULTILINE
    )
    scripts = {path.name for path in recipe.rglob("q/*.sh")}
    assert scripts >= {"make_fbank_train.sh", "train.sh", "decode.sh"}
    logs = [*recipe.glob("exp/*/train.log"), *recipe.glob("exp/*/*/log/decode.*.log")]
    assert len(logs) == 3
    assert all("# Running on " in log.read_text() for log in logs)


def copy_of(name: str, folder: Path) -> Path:
    """A recipe without what was made in it, in a tree like ours."""
    generated = ("data", "dump", "exp", "fbank", "downloads", "tensorboard")
    for part in ("espnet", "utils"):
        (folder / part).symlink_to(ROOT / part)
    ignore = shutil.ignore_patterns(*generated)
    for recipe in {name, "an4"}:  # an4 has the files that others link to
        source = ROOT / "egs" / recipe
        shutil.copytree(source, folder / "egs" / recipe, symlinks=True, ignore=ignore)
    return folder / "egs" / name / "asr1"
