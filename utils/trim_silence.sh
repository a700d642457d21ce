#!/usr/bin/env bash
# Write the segments of a data directory without silence at both ends; see --help.

set -euo pipefail
# shellcheck source=utils/lib_jobs.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_jobs.sh"

fs=16000
win_length=1024
shift_length=256
threshold=60
min_silence=0.01
normalize=16
cmd=run.pl
nj=32
# shellcheck disable=SC2034 # read by parse_options.sh
help_message="Usage: $0 [options] DATA LOGDIR
  --fs HZ                      sampling rate of the audio (${fs})
  --threshold DB               below the loudest frame is silence (${threshold})
  --win-length N, --shift-length N  frames, in samples (${win_length}, ${shift_length})
  --min-silence SECONDS        kept at each side (${min_silence})
  --normalize BITS             of a sample (${normalize})
  --nj N                       number of jobs (${nj})
  --cmd COMMAND                how to run them (${cmd})
Output: DATA/segments, and pictures in LOGDIR/figs."
# shellcheck source=utils/parse_options.sh
. "${_lib_dir}/parse_options.sh"

if [ $# -ne 2 ]; then
    printf '%b\n' "${help_message}" >&2
    fail "expected DATA LOGDIR, got $# arguments"
fi
data=${1%/}
logdir=$2
[ -f "${data}/wav.scp" ] || fail "${data}/wav.scp: no such file"
nj=$(limit_jobs "${nj}" "${data}/wav.scp")
mkdir -p "${logdir}"
run_jobs "${cmd}" "${nj}" "${logdir}/trim_silence" "no segments of ${data} are written" \
    trim_silence.py --part "JOB/${nj}" --fs "${fs}" --threshold "${threshold}" \
    --win-length "${win_length}" --shift-length "${shift_length}" \
    --min-silence "${min_silence}" --normalize "${normalize}" \
    --figdir "${logdir}/figs" "scp:${data}/wav.scp" "${logdir}/segments.JOB"
join_parts "${logdir}/segments" "" "${nj}" "${data}/segments"
for ((n = 1; n <= nj; n++)); do rm -f "${logdir}/segments.${n}"; done
