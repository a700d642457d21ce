#!/usr/bin/env bash
# The numbers of idle GPUs of this machine: those on which no process computes.
set -euo pipefail

n=1
usage="Usage: ${0##*/} [-n N]

Prints the numbers of N idle GPUs (${n}), joined by commas, or -1, with exit code 1, where
there are not so many."

while [ $# -gt 0 ]; do
    case $1 in
        -n)
            [[ ${2:-} =~ ^[0-9]+$ ]] || {
                echo "${0##*/}: error: -n wants a whole number, got '${2:-}'" >&2
                exit 2
            }
            n=$2
            shift 2
            ;;
        -h | --help)
            echo "${usage}"
            exit
            ;;
        *)
            echo "${0##*/}: error: unexpected argument '$1' (try --help)" >&2
            exit 2
            ;;
    esac
done

busy=$(nvidia-smi --query-compute-apps=gpu_uuid --format=csv,noheader 2> /dev/null || true)
idle=$({ nvidia-smi --query-gpu=index,uuid --format=csv,noheader 2> /dev/null || true; } \
    | while IFS=', ' read -r index uuid; do
        grep -qxF -- "${uuid}" <<< "${busy}" || echo "${index}"
    done | awk -v n="${n}" 'NR <= n' | paste -sd, -)
if [ "$(tr ',' '\n' <<< "${idle}" | grep -c .)" -lt "${n}" ]; then
    echo -1
    exit 1
fi
echo "${idle}"
