#!/usr/bin/env bash
# '<utt> frames,dimension' lines for a feats.scp; --help lists the options.

set -euo pipefail
# shellcheck source=utils/lib_jobs.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_jobs.sh"

nj=4
cmd=run.pl
verbose=0
filetype=
preprocess_conf=
# shellcheck disable=SC2034 # read by parse_options.sh
help_message="Usage: $0 [options] INPUT_SCP OUTPUT [LOGDIR]
  --nj N          number of jobs (${nj})
  --cmd COMMAND   how to run them (${cmd})
  --verbose N     1: logs say what is done (${verbose})
  --filetype KIND mat, hdf5, sound.hdf5 or sound; none: as the file 'filetype' beside
                  INPUT_SCP says, else mat
  --preprocess-conf FILE  transforms that are applied first
LOGDIR is the folder log beside INPUT_SCP unless given."
# shellcheck source=utils/parse_options.sh
. "${_lib_dir}/parse_options.sh"

if [ $# -ne 2 ] && [ $# -ne 3 ]; then
    printf '%b\n' "${help_message}" >&2
    fail "expected INPUT_SCP OUTPUT [LOGDIR], got $# arguments"
fi
scp=$1
output=$2
[ -f "${scp}" ] || fail "${scp}: no such file"
if [ -z "${filetype}" ] && [ -f "$(dirname "${scp}")/filetype" ]; then
    filetype=$(cat "$(dirname "${scp}")/filetype")
fi
logdir=${3:-$(dirname "${scp}")/log}

nj=$(limit_jobs "${nj}" "${scp}")
mkdir -p "${logdir}"
part=${logdir}/shape.$$
run_jobs "${cmd}" "${nj}" "${logdir}/feat_to_shape" "no shapes of ${scp}" \
    feat-to-shape.py --part "JOB/${nj}" --verbose "${verbose}" \
    --filetype "${filetype:-mat}" --preprocess-conf "${preprocess_conf}" "scp:${scp}" "${part}.JOB"
join_parts "${part}" "" "${nj}" "${output}"
for ((n = 1; n <= nj; n++)); do rm -f "${part}.${n}"; done
