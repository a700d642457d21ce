# shellcheck shell=bash
# shellcheck disable=SC2034  # recog_model is for asr.sh
# shellcheck disable=SC2154  # asr.sh, which sources this, has the other variables
# The mean of several epochs' weights, which stage 5 makes and decodes with.

option_files+=("${BASH_SOURCE[0]}")

n_average=0                    # epochs to average for decoding; 0: decode with recog_model
use_valbest_average=false      # the best ones in validation, not the last ones
metric=                        # what is best: acc or loss; empty: acc if there is one

# Checks the options. A model that the command line names is wanted, not an average.
average_names() {
    want_number n_average
    [ "${n_average}" -ge 0 ] || die "option --n-average must be 0 or more, got ${n_average}"
    [[ ${metric} =~ ^(acc|bleu|cer|cer_ctc|loss|perplexity)?$ ]] \
        || die "option --metric: '${metric}' is none of acc, bleu, cer, cer_ctc, loss"
    [[ " ${given[*]} " != *" --recog"[-_]"model "* ]] || n_average=0
    [ "${n_average}" -gt 0 ] || return 0
    recog_model=model.last${n_average}.avg.best
    [ "${use_valbest_average}" = false ] || recog_model=model.val${n_average}.avg.best
}

# Makes it anew in each decoding, for training may have gone on.
average() {
    local results=${expdir}/results snapshots options=()
    [ "${n_average}" -gt 0 ] || return 0
    snapshots=("${results}"/snapshot.ep.*)
    [ -f "${snapshots[0]}" ] || die "${results} has no snapshot.ep.N to average; train the" \
        "network (stage 4), or decode with --recog-model"
    [ "${use_valbest_average}" = false ] \
        || options=(--log "${results}/log" --metric "${metric}")
    average_checkpoints.py --backend "${backend}" --num "${n_average}" "${options[@]}" \
        --snapshots "${snapshots[@]}" --out "${results}/${recog_model}"
}
