# shellcheck shell=bash
# shellcheck disable=SC2154  # asr.sh, which sources this, has the other variables
# Data directories that stage 1 makes of others. The name of a set says how: train_trim
# holds the utterances of train that are within the limits, train_sp is train at several
# speeds, train_trim_sp is train_trim at several speeds. Any run.sh takes --train-set x_sp.

option_files+=("${BASH_SOURCE[0]}")

speeds="0.9 1.0 1.1"           # of a set whose name ends in _sp
maxframes=3000                 # a set whose name ends in _trim has shorter utterances
maxchars=400                   # and transcripts of fewer characters

# The data directories that stage 0 makes, and those that training and decoding use.
prepared_sets() {
    local set
    for set in $(used_sets); do
        case ${set} in
            "${train_set}" | "${train_dev}") [ "${dev_utts}" -gt 0 ] || source_of "${set}" ;;
            *) source_of "${set}" ;;
        esac
    done | sort -u
    [ "${dev_utts}" -eq 0 ] || echo train
}
used_sets() { tr ' ' '\n' <<< "${train_set} ${train_dev} ${recog_set}" | sort -u; }

# source_of SET: the set that data_prep must write for it.
source_of() {
    local set=${1%_sp}
    echo "${set%_trim}"
}

make_features() {
    local options=(--fbank-config "${fbank_config}")
    [ "${feats}" = fbank ] || options+=(--pitch-config "${pitch_config}")
    "steps/make_${feats}.sh" --cmd "${train_cmd}" --nj "${nj}" \
        --write_utt2num_frames true "${options[@]}" \
        "data/$1" "exp/make_fbank/$1" fbank
    fix_data_dir.sh "data/$1"
}

# derive SET: data/SET with features, of the set that its name says.
derive() {
    local from=${1%_sp} speed copies=()
    if [ "${from}" != "$1" ]; then
        derive "${from}"
        for speed in ${speeds}; do
            copies+=("data/local/speeds/$1/${speed}")
            perturb_data_dir_speed.sh "${speed}" "data/${from}" "${copies[-1]}"
        done
        combine_data.sh "data/$1" "${copies[@]}"
        make_features "$1"
    elif [[ $1 == *_trim ]]; then
        remove_longshortdata.sh --maxframes "${maxframes}" --maxchars "${maxchars}" \
            "data/${1%_trim}" "data/$1"
    fi
}
