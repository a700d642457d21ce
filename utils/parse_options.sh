# shellcheck shell=bash
# Options for a bash script: give each a variable with its default, then source this file.
#
#     nj=4             # number of jobs
#     do_delta=false
#     help_message="Usage: $0 [--nj N] [--do-delta true|false] <data>"
#     . utils/parse_options.sh
#
# `--do-delta true` (or --do_delta) sets do_delta, because that variable exists; where the
# default is true or false nothing else is accepted. `--config FILE` sources FILE before
# the other options are read. What follows the options stays in "$@".

_po_fail() {
    echo "${0##*/}: error: $1" >&2
    exit 1
}

# _po_distance A B: insertions, deletions and substitutions from A to B, in $_po_result.
_po_distance() {
    local a=$1 b=$2 i j best cost row previous
    row=(); for ((j = 0; j <= ${#b}; j++)); do row[j]=$j; done
    for ((i = 1; i <= ${#a}; i++)); do
        previous=("${row[@]}"); row[0]=$i
        for ((j = 1; j <= ${#b}; j++)); do
            cost=1; [[ ${a:i-1:1} != "${b:j-1:1}" ]] || cost=0
            best=$((previous[j - 1] + cost))
            ((best <= previous[j] + 1)) || best=$((previous[j] + 1))
            ((best <= row[j - 1] + 1)) || best=$((row[j - 1] + 1))
            row[j]=$best
        done
    done
    _po_result=${row[${#b}]}
}

# _po_unknown FLAG NAME: fail, naming the nearest variable that could be meant.
_po_unknown() {
    local _po_known _po_near="" _po_limit=$((${#2} / 3 + 1))
    while read -r _po_known; do
        [[ $_po_known =~ ^[a-zA-Z]$|^[a-z][a-zA-Z0-9_]*$ && $_po_known != help_message ]] || continue
        _po_distance "$2" "$_po_known"
        if ((_po_result <= _po_limit)); then
            _po_near=$_po_known _po_limit=$((_po_result - 1))
        fi
    done < <(compgen -v)
    [ -z "$_po_near" ] || _po_near=" (did you mean --${_po_near//_/-}?)"
    _po_fail "unknown option $1$_po_near; try --help"
}

# _po_check "$@": whether the first two words are an option and its value.
_po_check() {
    case $1 in
        --*=*) _po_fail "write '$1' as '${1%%=*} ${1#*=}'" ;;
    esac
    _po_name=${1#--}; _po_name=${_po_name//-/_}
    [[ $_po_name =~ ^[a-zA-Z_][a-zA-Z0-9_]*$ ]] || _po_unknown "$1" "$_po_name"
    [ "$1" = --config ] || [ -n "${!_po_name+set}" ] || _po_unknown "$1" "$_po_name"
    [ $# -ge 2 ] || _po_fail "option $1 wants a value"
    case $2 in
        --*[!a-zA-Z0-9_-]*) ;;
        --[a-zA-Z]*)
            _po_value=${2#--}; _po_value=${_po_value//-/_}
            [ -z "${!_po_value+set}" ] || _po_fail \
                "option $1 wants a value, but the option $2 follows; write $1 '' for none"
            ;;
    esac
}

_po_help() {
    if [ -n "${help_message:-}" ]; then
        printf '%b\n' "$help_message"
    else
        echo "${0##*/}: no help; its options are the variables at its top"
    fi
    exit 0
}

# _po_configs "$@": source each --config file among the options.
_po_configs() {
    while [[ $# -gt 0 && $1 == -?* && $1 != -- ]]; do
        case $1 in
            --help|-h) _po_help ;;
            --config)
                _po_check "$@"
                [ -r "$2" ] && [ ! -d "$2" ] || _po_fail "--config: cannot read the file '$2'"
                case $2 in
                    */*) _po_value=$2 ;;
                    *) _po_value=./$2 ;; # or bash would look for it on PATH
                esac
                # shellcheck source=/dev/null
                . "$_po_value"
                ;;
        esac
        shift; [ $# -eq 0 ] || shift
    done
}

_po_configs "$@"
while [[ $# -gt 0 && $1 == -?* ]]; do
    case $1 in
        --help|-h) _po_help ;;
        --) shift; break ;;
        --*)
            _po_check "$@"
            case ${!_po_name-} in
                true|false)
                    [[ $2 == true || $2 == false ]] \
                        || _po_fail "option $1 wants true or false, got '$2'"
                    ;;
            esac
            [[ $_po_name != cmd || -n $2 ]] \
                || _po_fail "option $1 is empty; has cmd.sh been sourced?"
            printf -v "$_po_name" %s "$2" || _po_fail "option $1 cannot be set"
            shift 2
            ;;
        *) break ;;
    esac
done

unset _po_name _po_value _po_result
unset -f _po_fail _po_distance _po_unknown _po_check _po_help _po_configs
true
