# shellcheck shell=bash
# shellcheck disable=SC2154  # stage, stop_stage, stages, option_files: asr.sh has them
# What every run.sh does: options, --help, stages, failures. asr.sh sources it and gives
# each option as a variable, `name=value  # help`, and the rows of `stages`. A run.sh may
# change both, and ends with `main "$@"`.

set -euo pipefail

log() { echo "$(date '+%Y-%m-%d %H:%M:%S') $*"; }
die() {
    echo "${0##*/}: error: $*" >&2
    exit 1
}

# option_lines FILE...: "name<TAB>help" of each variable assigned at a line's start.
option_lines() {
    awk 'match($0, /^[A-Za-z_][A-Za-z_0-9]*=/) && substr($0, RLENGTH + 1, 1) != "(" {
            name = substr($0, 1, RLENGTH - 1)
            if (!(name in help)) { names[++count] = name; help[name] = "" }
            if (match($0, /[ \t]# /)) help[name] = substr($0, RSTART + 3)
        }
        END { for (i = 1; i <= count; i++) print names[i] "\t" help[names[i]] }' "$@"
}

# usage FILE...: the options that these files assign, with their values, and the stages.
usage() {
    local name comment value row number title
    printf 'Usage: %s [--option value]...\n\nOptions, with their values now:\n' "$0"
    while IFS=$'\t' read -r name comment; do
        value=${!name}
        [[ ${value} =~ ^[A-Za-z0-9_./:+-]+$ ]] || value="'${value}'"
        printf '  --%-17s %-30s  %s\n' "${name//_/-}" "${value}" "${comment}"
    done < <(option_lines "$@")
    printf '\nStages, from --stage to --stop-stage:\n'
    for row in "${stages[@]}"; do
        read -r number _ title <<< "${row}"
        printf '  %2s  %s\n' "${number}" "${title}"
    done
}

# want_number NAME...: these options must be whole numbers.
want_number() {
    local name
    for name in "$@"; do
        [[ ${!name} =~ ^-?[0-9]+$ ]] \
            || die "option --${name//_/-} wants a whole number, got '${!name}'"
    done
}

# run_stages: each row "number function title" of `stages` that was asked for.
run_stages() {
    local row number function title
    for row in "${stages[@]}"; do
        read -r number function title <<< "${row}"
        if [ "${stage}" -le "${number}" ] && [ "${number}" -le "${stop_stage}" ]; then
            current_stage=${number}
            current_title=${title}
            log "stage ${number}: ${title}"
            "${function}" # a plain call: under `if` or `||` set -e would not hold in it
        fi
    done
}

# each "A B C" COMMAND...: the command with each item at its end, all at the same time.
each() {
    local item pid pids=() failed=0 items=$1
    shift
    for item in ${items}; do
        "$@" "${item}" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "${pid}" || failed=$((failed + 1))
    done
    [ "${failed}" -eq 0 ] || die "${failed} of ${#pids[@]} background jobs failed"
}

# want_file NAME...: these options must name files, or nothing.
want_file() {
    local name
    for name in "$@"; do
        [ -z "${!name}" ] || [ -f "${!name}" ] \
            || die "option --${name//_/-}: there is no file '${!name}'"
    done
}

# For GLIBC_TUNABLES: they halve the time that large temporary tensors of a training cost,
# and take 5 to 10 % off that of decoding.
huge_pages=glibc.malloc.hugetlb=1

# training_job LOG COMMAND...: on the CPU the one process may have all cores. It must not
# spin long while it waits for its threads, or it stands still beside other programs; nor
# sleep at once, which takes an RNN twice the time on a quiet machine. One that a queue
# asked to end before it was done succeeds, but the stages after it must not.
training_job() {
    local threads=1
    [ "${ngpu}" -gt 0 ] || threads=$(
        python3 -c 'from espnet.jobs.local import count_cores; print(count_cores())'
    )
    OMP_NUM_THREADS=${threads} GOMP_SPINCOUNT=300 \
        GLIBC_TUNABLES=${huge_pages} ${cuda_cmd} --gpu "${ngpu}" "$@"
    ! grep -qs '^stopped by SIGTERM' "$1" \
        || die "training was asked to end before it was done ($1); it goes on from there"
}

# want_packages NAME...: Python must find these (they are not imported: that takes time).
want_packages() {
    python3 - "$@" << 'EOF' || die "run 'make install' in ${MAIN_ROOT:-the top folder}," \
        "or activate the environment in which the toolkit is installed"
import sys
from importlib.util import find_spec

missing = [name for name in sys.argv[1:] if find_spec(name) is None]
if missing:
    sys.exit(f"{sys.executable} lacks the packages {', '.join(missing)}")
EOF
}

# report_failure STATUS OPTIONS...: which stage failed and how to go on from it. What went
# wrong stands above: jobs print the end of their log.
report_failure() {
    local status=$1 words=""
    shift
    if [ "${status}" -eq 0 ] || [ -z "${current_stage}" ]; then
        return
    fi
    while [ $# -gt 1 ]; do
        [ "$1" = --stage ] || words+=$(printf ' %q %q' "$1" "$2")
        shift 2
    done
    echo "${0##*/}: failed in stage ${current_stage} (${current_title});" \
        "when the cause is mended, go on with:" >&2
    echo "    $0 --stage ${current_stage}${words}" >&2
}

# main "$@": read the options, then run the stages.
main() {
    given=("$@")
    current_stage=
    # shellcheck disable=SC2034  # for parse_options.sh
    help_message=$(usage "${option_files[@]}" "$0")
    # shellcheck source=/dev/null
    . parse_options.sh
    [ $# -eq 0 ] || die "unexpected argument '$1' (options are --name value; try --help)"
    want_number stage stop_stage
    want_packages configargparse kaldiio torch
    names
    trap 'report_failure $? "${given[@]}"' EXIT
    run_stages
}
