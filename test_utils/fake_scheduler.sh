#!/usr/bin/env bash
# A scheduler for tests, called as qsub, qstat or qdel: jobs run at once, as processes on
# this machine. FAKE_FOLDER is where it remembers them, FAKE_DIALECT is sge or pbs.
set -euo pipefail

# alive: "ID.TASK" of each job that runs
alive() {
    local file
    for file in "${FAKE_FOLDER}"/job.*; do
        if [ -e "${file}" ] && kill -0 "$(cat "${file}")" 2> /dev/null; then
            echo "${file##*/job.}"
        fi
    done
}

qsub() {
    local id range="" out="" tasks task
    echo "$*" > "${FAKE_FOLDER}/submitted"
    id=1
    while [ -e "${FAKE_FOLDER}/id.${id}" ]; do id=$((id + 1)); done
    touch "${FAKE_FOLDER}/id.${id}"
    while [ $# -gt 1 ]; do
        case $1 in
            -t | -J) range=${2%\%*} ;;
            -o) out=$2 ;;
        esac
        shift
    done
    tasks=${range:-1-1}
    for task in $(seq "${tasks%-*}" "${tasks#*-}"); do
        SGE_TASK_ID=${task} PBS_ARRAY_INDEX=${task} setsid bash "$1" >> "${out}" 2>&1 &
        echo $! > "${FAKE_FOLDER}/job.${id}.${task}"
    done
    case ${FAKE_DIALECT}${range:+-array} in
        sge) echo "Your job ${id} (\"x\") has been submitted" ;;
        sge-array) echo "Your job-array ${id}.${range}:1 (\"x\") has been submitted" ;;
        pbs) echo "${id}.server" ;;
        pbs-array) echo "${id}[].server" ;;
    esac
}

qstat() {
    local name found=0
    for name in $(alive); do
        found=1
        case ${FAKE_DIALECT} in
            sge) echo "${name%.*} 0.5 x me r 11/23/2026 09:00:00 all.q@node 1 ${name#*.}" ;;
            pbs) echo "${name%.*}[${name#*.}].server x me 00:00:00 R batch" ;;
        esac
    done
    if [ "${FAKE_DIALECT}${found}" = pbs0 ]; then
        echo "qstat: Unknown Job Id" >&2
        exit 153
    fi
}

qdel() {
    local name id
    echo "$*" >> "${FAKE_FOLDER}/deleted"
    for id in "$@"; do
        for name in $(alive); do
            [ "${name%.*}" = "${id%%[^0-9]*}" ] || continue
            kill -TERM -- "-$(cat "${FAKE_FOLDER}/job.${name}")"
        done
    done
}

"${0##*/}" "$@"
