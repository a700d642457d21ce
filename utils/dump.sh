#!/usr/bin/env bash
# Normalised features for training and decoding; --help lists the options.

set -euo pipefail
# shellcheck source=utils/lib_jobs.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_jobs.sh"

cmd=run.pl
nj=1
do_delta=false
compress=true
write_utt2num_frames=true
filetype=mat
verbose=0
# shellcheck disable=SC2034 # read by parse_options.sh
help_message="Usage: $0 [options] FEATS_SCP CMVN_ARK LOGDIR DUMPDIR
  --cmd COMMAND                how to run jobs (${cmd})
  --nj N                       number of jobs (${nj})
  --do-delta true|false        append deltas and delta-deltas (${do_delta})
  --compress true|false        store with Kaldi's compression method 2 (${compress})
  --write-utt2num-frames true|false  also write DUMPDIR/utt2num_frames (${write_utt2num_frames})
  --filetype mat|hdf5          kind of archive (${filetype})
  --verbose N                  1: logs say what is done (${verbose})
Subtracts the mean and divides by the standard deviation of CMVN_ARK; writes
DUMPDIR/{feats.N.ark,feats.N.scp,feats.scp,utt2num_frames,filetype}; feats.N.h5 for hdf5."
# shellcheck source=utils/parse_options.sh
. "${_lib_dir}/parse_options.sh"

if [ $# -ne 4 ]; then
    printf '%b\n' "${help_message}" >&2
    fail "expected FEATS_SCP CMVN_ARK LOGDIR DUMPDIR, got $# arguments"
fi
scp=$1
cmvn=$2
logdir=$3
dumpdir=$4
[ -f "${scp}" ] || fail "${scp}: no such file"
[ -f "${cmvn}" ] || fail "${cmvn}: no such file; compute-cmvn-stats makes it"
case ${filetype} in
    mat) suffix=ark ;;
    hdf5) suffix=h5 ;;
    *) fail "--filetype ${filetype}: is none of mat, hdf5" ;;
esac

nj=$(limit_jobs "${nj}" "${scp}")
mkdir -p "${logdir}" "${dumpdir}"
dumpdir=$(cd "${dumpdir}" && pwd)
rm -f "${dumpdir}"/{feats.scp,utt2num_frames,filetype}
counts=()
! "${write_utt2num_frames}" \
    || counts=(--write-num-frames "ark,t:${dumpdir}/utt2num_frames.JOB")
run_jobs "${cmd}" "${nj}" "${logdir}/dump_feature" "nothing dumped from ${scp}" \
    dump-feats.py --part "JOB/${nj}" --verbose "${verbose}" --do-delta "${do_delta}" \
    --compress "${compress}" --compression-method 2 --out-filetype "${filetype}" \
    "${counts[@]}" "${scp}" "${cmvn}" \
    "ark,scp:${dumpdir}/feats.JOB.${suffix},${dumpdir}/feats.JOB.scp"

if "${write_utt2num_frames}"; then
    join_parts "${dumpdir}/utt2num_frames" "" "${nj}" "${dumpdir}/utt2num_frames"
    for ((n = 1; n <= nj; n++)); do rm -f "${dumpdir}/utt2num_frames.${n}"; done
fi
echo "${filetype}" >"${dumpdir}/filetype"
join_parts "${dumpdir}/feats" .scp "${nj}" "${dumpdir}/feats.scp"
