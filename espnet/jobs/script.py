"""The bash script that runs one job of a request on another machine.

It makes the log that :mod:`~espnet.jobs.local` makes here, with the machine's name, and
leaves the exit code in a file, so that the launcher learns of it whatever the scheduler
remembers. The machines share the folder; they need bash, and nothing of ours.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping

from espnet.jobs.grammar import Request

# what a job inherits: where programs are; then what was set for this very job, which
# wins over path.sh
PLACES = r"PATH|PYTHON\w+|LD_LIBRARY_PATH|VIRTUAL_ENV|CONDA_\w+|LANG|LC_\w+|TZ"
TUNING = r"G?OMP_\w+|MKL_\w+|GLIBC_TUNABLES|NCCL_\w+|TORCH\w*_\w+|TOKENIZERS_\w+"
END = "__END_OF_THE_COMMAND__"

# in a process group of its own that ends when nothing holds our stdin any more: the
# launcher's end, or the connection's, is the end of the job
LIFELINE = """\
set -m
exec 3<&0
"""
WATCH = """\
{
    cat <&3
    kill -TERM -- "-${child}"
    sleep 5
    kill -KILL -- "-${child}"
} > /dev/null 2>&1 &
watch=$!
trap '[ "${code}" -gt 128 ] || kill -KILL -- "-${watch}"' EXIT
exec > /dev/null 2>&1 # what bash says to a connection that is lost would end it
"""
PRELUDE = """\
mkdir -p "$(dirname "${log}")"
date_now() { LC_ALL=C date '+%a %b %e %H:%M:%S %Z %Y'; }
printf '# %s\\n# Running on %s\\n# Started at %s\\n#\\n' \\
    "${command}" "${HOSTNAME}" "$(date_now)" > "${log}" || exit 1
started=$(date +%s)
bash <<< "set -o pipefail; ${command}" >> "${log}" 2>&1 &
child=$!
trap 'kill -TERM "${child}" 2> /dev/null' TERM INT XCPU USR1 USR2
"""
POSTLUDE = """\
while :; do # a signal to this script ends one wait, not the job
    wait "${child}"
    code=$?
    kill -0 "${child}" 2> /dev/null || break
done
seconds=$(($(date +%s) - started))
how="code ${code}"
[ "${code}" -le 128 ] || [ "${code}" -gt 192 ] || how+="; signal $((code - 128))"
{
    echo "# Accounting: time=${seconds} threads=${threads}"
    echo "# Ended (${how}) at $(date_now), elapsed time ${seconds} seconds"
} >> "${log}"
echo "${code}" > "${done}/.${job}" && mv "${done}/.${job}" "${done}/${job}"
exit $((code != 0)) # other codes have a meaning to some schedulers
"""


def job_script(
    request: Request,
    job: str,
    done: str,
    lifeline: bool = False,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The script for a request.

    Args:
        job: what bash shall take as the job's number: a number or a variable.
        done: the folder in which file ``<job>`` gets the exit code.
        lifeline: end the job when the script's stdin comes to its end.
        environment: where to take variables from; default: this process's.
    """
    environment = os.environ if environment is None else environment
    threads = request.number("num_threads", 1) or 1
    tuning = _variables(environment, TUNING)
    tuning["OMP_NUM_THREADS"] = str(threads)  # the cores that it asked for
    lines = [
        "#!/bin/bash",
        f"cd {shlex.quote(os.getcwd())} || exit 1",
        *_exports(_variables(environment, PLACES)),
        "[ ! -f ./path.sh ] || . ./path.sh",
        *_exports(tuning),
        f"job={job}",
        f"done={shlex.quote(os.path.abspath(done))}",
        f"threads={threads}",
        f"log={shlex.quote(request.log)}",
        f"IFS= read -r -d '' command << '{END}'",
        request.command,
        END,
        "command=${command%$'\\n'}",
    ]
    if request.name:
        lines += [
            f"{variable}=${{{variable}//{request.name}/${{job}}}}"
            for variable in ("log", "command")
        ]
    text = "\n".join(lines) + "\n"
    if not lifeline:
        return text + PRELUDE + POSTLUDE
    return text + LIFELINE + PRELUDE + WATCH + POSTLUDE


def _variables(environment: Mapping[str, str], pattern: str) -> dict[str, str]:
    return {k: v for k, v in environment.items() if re.fullmatch(pattern, k)}


def _exports(variables: Mapping[str, str]) -> list[str]:
    return [f"export {name}={shlex.quote(v)}" for name, v in variables.items()]
