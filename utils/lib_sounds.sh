# shellcheck shell=bash disable=SC2034,SC2154 # of variables that are found by name
# The common part of the scripts that store something of each recording of a data
# directory: make_fbank.sh, make_stft.sh, dump_pcm.sh. They set `kind`, `own_help`, and the
# variables that `flags` lists, which become options of `program`. dump_pcm.sh also sets
# that and the defaults of the options that all have; for spectra these are here.

# shellcheck source=utils/lib_jobs.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_jobs.sh"

if [ "${kind:?}" != pcm ]; then
    program=compute-${kind}-feats.py
    flags+=(fs n_fft n_shift win_length window normalize)
    fs=
    n_fft=1024
    n_shift=512
    win_length=
    window=hann
    normalize=16
    filetype=mat
    compress=true
    write_utt2num_frames=true
    verbose=0
    own_help="
  --fs HZ                      convert to this sampling rate; none: keep${own_help}
  --n-fft N, --n-shift N       length of the transform (${n_fft}), step between frames (${n_shift})
  --win-length N               length of the window; none: n-fft
  --window hann|hamming        its shape (${window})
  --filetype mat|hdf5          kind of archive (${filetype})"
fi
nj=4
cmd=run.pl
help_message="Usage: $0 [options] DATA [LOGDIR [OUTDIR]]${own_help}
  --verbose N                  1: logs say what is done (${verbose})
  --nj N                       number of jobs (${nj})
  --cmd COMMAND                how to run them (${cmd})
  --compress true|false        lossy compression of mat, gzip of hdf5 (${compress:?})
  --write-utt2num-frames true|false  also write DATA/utt2num_frames (${write_utt2num_frames:?})
LOGDIR is DATA/log and OUTDIR is DATA/data unless given. Output: DATA/feats.scp and
DATA/filetype, and OUTDIR/raw_${kind:?}_<name>.N*, where <name> is the last part of DATA."
# shellcheck source=utils/parse_options.sh
. "${_lib_dir}/parse_options.sh"

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
    printf '%b\n' "${help_message}" >&2
    fail "expected DATA [LOGDIR [OUTDIR]], got $# arguments"
fi
data=${1%/}
logdir=${2:-${data}/log}
outdir=${3:-${data}/data}
[ -f "${data}/wav.scp" ] || fail "${data}/wav.scp: no such file"
if [ -f "${data}/feats.scp" ]; then
    mkdir -p "${data}/.backup"
    mv "${data}/feats.scp" "${data}/.backup/"
fi
rm -f "${data}/filetype"

options=()
for flag in "${flags[@]}" verbose; do
    [ -z "${!flag}" ] || options+=("--${flag//_/-}" "${!flag}")
done
listed=${data}/wav.scp
if [ -f "${data}/segments" ]; then
    listed=${data}/segments
    options+=(--segments "${listed}")
fi
nj=$(limit_jobs "${nj}" "${listed}")
mkdir -p "${logdir}" "${outdir}"
part=$(cd "${outdir}" && pwd)/raw_${kind}_$(basename "${data}")
case ${filetype} in
    mat) stored=${part}.JOB.ark ;;
    hdf5) stored=${part}.JOB.h5 ;;
    sound.hdf5) stored=${part}.JOB.${format:-flac}.h5 ;;
    sound) stored=${part}.JOB ;;
    *) fail "--filetype ${filetype}: is none of mat, hdf5, sound.hdf5, sound" ;;
esac
counts=${logdir}/utt2num_frames
! "${write_utt2num_frames}" || options+=(--write-num-frames "ark,t:${counts}.JOB")
run_jobs "${cmd}" "${nj}" "${logdir}/make_${kind}" "no feats.scp of ${data} is written" \
    "${program:?}" --part "JOB/${nj}" --filetype "${filetype}" --compress "${compress}" \
    "${options[@]}" "scp:${data}/wav.scp" "ark,scp:${stored},${part}.JOB.scp"

if "${write_utt2num_frames}"; then
    join_parts "${counts}" "" "${nj}" "${data}/utt2num_frames"
    for ((n = 1; n <= nj; n++)); do rm -f "${counts}.${n}"; done
fi
echo "${filetype}" >"${data}/filetype"
join_parts "${part}" .scp "${nj}" "${data}/feats.scp"
echo "${0##*/}: $(wc -l <"${data}/feats.scp") utterances in ${data}/feats.scp"
