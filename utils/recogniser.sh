# shellcheck shell=bash
# shellcheck disable=SC2154  # asr.sh, which sources this, has the variables
# What a recogniser needs besides its network, kept beside it for load() and
# pack_model.sh: exp/<name>/recogniser/recogniser.yaml, and copies of small files.

# keep_recogniser [-n]: -n leaves copies that are there, of what it was trained with.
keep_recogniser() {
    local dir=${expdir}/recogniser lm frames preprocess=${preprocess_config}
    # the option wins over the key of the training config, as in asr_train.py
    [ -n "${preprocess}" ] || [ ! -f "${train_config}" ] || preprocess=$(sed -nE \
        "s/^preprocess[-_]conf: *[\"']?([^\"'# ]*).*/\1/p" "${train_config}")
    mkdir -p "${dir}"
    _keep "$@" "${fbank_config}" "${dir}/fbank.conf"
    [ "${feats}" = fbank ] || _keep "$@" "${pitch_config}" "${dir}/pitch.conf"
    _keep "$@" "data/${train_set}/cmvn.ark" "${dir}/cmvn.ark"
    [ -z "${nbpe}" ] || _keep "$@" "${bpe_model}.model" "${dir}/bpe.model"
    _keep "$@" "${preprocess}" "${dir}/preprocess.yaml"
    _keep "${decode_config}" "${dir}/decode.yaml"
    frames=$(feat_dir "${train_set}")/utt2num_frames
    {
        echo "# what load() and pack_model.sh need; see doc/formats.md"
        echo "model: ../results/${recog_model}"
        echo "feats: ${feats}"
        echo "do_delta: ${do_delta}"
        _list fbank_config fbank.conf
        _list pitch_config pitch.conf
        _list cmvn cmvn.ark
        _list bpemodel bpe.model
        _list preprocess_conf preprocess.yaml
        _list decode_config decode.yaml
        if [ "${#lm_options[@]}" -gt 0 ]; then
            lm=${lm_options[0]#--} # rnnlm or word-rnnlm
            _list "${lm//-/_}" "../../${lm_options[1]#exp/}"
        fi
        [ ! -f "${frames}" ] || awk '$2 > most { most = $2 }
            END { print "longest: " most + 0 }' "${frames}"
    } > "${dir}/recogniser.yaml.tmp"
    mv "${dir}/recogniser.yaml.tmp" "${dir}/recogniser.yaml"
}

# _keep [-n] FROM TO: a copy, if there is something to copy.
_keep() {
    local old=false
    if [ "$1" = -n ]; then
        old=true
        shift
    fi
    [ -f "$1" ] || return 0
    "${old}" && [ -f "$2" ] || cp "$1" "$2"
}

# _list KEY FILE: a line of recogniser.yaml, if the file is there.
_list() { [ ! -f "${dir}/$2" ] || echo "$1: $2"; }
