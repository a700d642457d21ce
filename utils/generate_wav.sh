#!/usr/bin/env bash
# Write the sounds of a data directory's log mel energies by a WaveNet; see --help.

set -euo pipefail
# shellcheck source=utils/lib_jobs.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_jobs.sh"

nj=2
fs=22050
n_fft=1024
n_shift=256
cmd=run.pl
# shellcheck disable=SC2034 # read by parse_options.sh
help_message="Usage: $0 [options] MODEL DATA [LOGDIR [WAVDIR]]
  --fs HZ        sampling rate of the sounds (${fs})
  --n-fft N      length of the features' window, samples (${n_fft})
  --n-shift N    from frame to frame, samples (${n_shift})
  --nj N         number of jobs (${nj})
  --cmd COMMAND  how to run them (${cmd})
MODEL is a checkpoint of PytorchWaveNetVocoder, beside its model.conf and stats.h5.
Input: DATA/feats.scp. Output: WAVDIR/UTTERANCE.wav (DATA/data), logs in LOGDIR (DATA/log)."
# shellcheck source=utils/parse_options.sh
. "${_lib_dir}/parse_options.sh"

if [ $# -lt 2 ] || [ $# -gt 4 ]; then
    printf '%b\n' "${help_message}" >&2
    fail "expected MODEL DATA [LOGDIR [WAVDIR]], got $# arguments"
fi
model=$1
data=${2%/}
logdir=${3:-${data}/log}
wavdir=${4:-${data}/data}
[ -f "${model}" ] || fail "${model}: no such model file"
[ -f "${data}/feats.scp" ] || fail "${data}/feats.scp: no such file"
nj=$(limit_jobs "${nj}" "${data}/feats.scp")
mkdir -p "${logdir}" "${wavdir}"
run_jobs "${cmd}" "${nj}" "${logdir}/generate_wav" "not all sounds are in ${wavdir}" \
    generate_wav_from_fbank.py --verbose 1 --part "JOB/${nj}" --model "${model}" --fs "${fs}" \
    --n-fft "${n_fft}" --n-shift "${n_shift}" "scp:${data}/feats.scp" "${wavdir}"
echo "$0: the sounds are in ${wavdir}"
