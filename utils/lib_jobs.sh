# shellcheck shell=bash
# Functions for scripts that run their work as numbered jobs and join the results.

_lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export PATH="${_lib_dir}:${PATH}"                # run.pl and the commands that jobs call
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # the jobs share the processors

# fail MESSAGE...
fail() {
    echo "${0##*/}: error: $*" >&2
    exit 1
}

# limit_jobs NJ FILE: NJ, or the number of lines in FILE if that is smaller.
limit_jobs() {
    local lines
    [[ $1 =~ ^[1-9][0-9]*$ ]] || fail "--nj $1: must be a whole number above 0"
    lines=$(wc -l <"$2")
    [ "${lines}" -gt 0 ] || fail "$2: is empty"
    echo $(($1 < lines ? $1 : lines))
}

# join_parts PREFIX SUFFIX NJ OUTPUT: PREFIX.1SUFFIX ... in one file that appears whole, or
# on stdout (-), a device or a pipe, which no file may replace.
join_parts() {
    local n whole=$4.tmp.$$
    [[ ! ($4 =~ ^(-|/dev/[^/]+|/dev/fd/.*)$ || -p $4) ]] || whole=${4/#-//dev/stdout}
    for ((n = 1; n <= $3; n++)); do cat "$1.${n}$2"; done >"${whole}"
    [ "${whole}" != "$4.tmp.$$" ] || mv "${whole}" "$4"
}

# run_jobs CMD NJ LOG FAILURE COMMAND...: run COMMAND as jobs 1 to NJ with logs LOG.JOB.log
# by CMD. If one fails, print all errors in the logs and FAILURE, and exit.
run_jobs() {
    local said n errors total shown=100 status=0
    exec 3>&1
    # shellcheck disable=SC2086 # CMD is a command with its options
    said=$($1 JOB=1:"$2" "$3.JOB.log" "${@:5}" 2>&1 >&3) || status=$?
    exec 3>&-
    if [ "${status}" -eq 0 ]; then
        [ -z "${said}" ] || echo "${said}" >&2
        return 0
    fi
    errors=$(for ((n = 1; n <= $2; n++)); do
        sed -n 's/^[^ ]*: error: //p' "$3.${n}.log" 2>/dev/null || true
    done)
    total=$(grep -c . <<<"${errors}" || true)
    [ "${total}" -gt 0 ] || errors=${said}
    head -n "${shown}" <<<"${errors}" >&2
    [ "${total}" -le "${shown}" ] || echo "... and $((total - shown)) more" >&2
    fail "$4 (logs: $3.*.log)"
}
