# shellcheck shell=bash disable=SC2154
# The common part of make_fbank.sh, make_fbank_pitch.sh and make_mfcc.sh, sourced by them
# after they have set `kind`, `own_help`, and the variables that `config_options` lists.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=utils/lib_jobs.sh
. "${here}/../lib_jobs.sh"

nj=4
cmd=run.pl
compress=true
write_utt2num_frames=true
write_utt2dur=true
# shellcheck disable=SC2034 # read by parse_options.sh
help_message="Usage: $0 [options] DATA [LOGDIR [OUTDIR]]
${own_help:?}
  --nj N                       number of jobs (${nj})
  --cmd COMMAND                how to run them (${cmd})
  --compress true|false        store with Kaldi's lossy compression (${compress})
  --write-utt2num-frames true|false  also write DATA/utt2num_frames (${write_utt2num_frames})
  --write-utt2dur true|false   also write DATA/utt2dur (${write_utt2dur})
LOGDIR is DATA/log and OUTDIR is DATA/data unless given. Output: DATA/feats.scp, and
OUTDIR/raw_${kind:?}_<name>.N.{ark,scp}, where <name> is the last part of DATA."
# shellcheck source=utils/parse_options.sh
. "${here}/../parse_options.sh"

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
    printf '%b\n' "${help_message}" >&2
    fail "expected DATA [LOGDIR [OUTDIR]], got $# arguments"
fi
data=${1%/}
logdir=${2:-${data}/log}
outdir=${3:-${data}/data}
name=$(basename "${data}")

configs=()
for config in "${config_options[@]}"; do
    if [ -n "${!config:-}" ]; then
        [ -f "${!config}" ] || fail "--${config//_/-}: there is no file '${!config}'"
        configs+=("--${config//_/-}" "${!config}")
    fi
done
if [ "${kind}" = fbank_pitch ]; then
    configs+=(--paste-length-tolerance "${paste_length_tolerance}")
fi
[ -f "${data}/wav.scp" ] || fail "${data}/wav.scp: no such file"
[ ! -f "${data}/spk2warp" ] && [ ! -f "${data}/utt2warp" ] \
    || fail "${data} has warping factors, but vocal tract length warping is not built"

# What these features replace, and could contradict, goes out of the way first.
for table in feats.scp utt2num_frames utt2dur; do
    [ -f "${data}/${table}" ] || continue
    mkdir -p "${data}/.backup"
    mv "${data}/${table}" "${data}/.backup/"
    [ "${table}" != feats.scp ] || echo "${0##*/}: ${data}/feats.scp moved to .backup/"
done
validate_data_dir.sh --no-text --no-feats "${data}"

listed=${data}/wav.scp
[ ! -f "${data}/segments" ] || listed=${data}/segments
nj=$(limit_jobs "${nj}" "${listed}")
mkdir -p "${logdir}" "${outdir}"
outdir=$(cd "${outdir}" && pwd)

part=${outdir}/raw_${kind}_${name}
tables=()
for table in utt2num_frames utt2dur; do
    option=write_${table}
    if "${!option}"; then
        configs+=("--${option//_/-}" "${logdir}/${table}.JOB")
        tables+=("${table}")
    fi
done
log=${logdir}/make_${kind}_${name}
run_jobs "${cmd}" "${nj}" "${log}" "no features for ${data}, no feats.scp is written" \
    extract-feats.py --kind "${kind}" --part "JOB/${nj}" --compress "${compress}" \
    "${configs[@]}" "${data}" "${part}.JOB"

for table in "${tables[@]}"; do
    join_parts "${logdir}/${table}" "" "${nj}" "${data}/${table}"
    for ((n = 1; n <= nj; n++)); do rm -f "${logdir}/${table}.${n}"; done
done
join_parts "${part}" .scp "${nj}" "${data}/feats.scp"
echo "${0##*/}: features of $(wc -l <"${data}/feats.scp") utterances in ${data}/feats.scp"
