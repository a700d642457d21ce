#!/usr/bin/env bash
# LibriSpeech: audio books, 960 hours to train on (public, 60 GB), or with --train-set
# train_clean_100_trim_sp the first 100 hours.
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

ngpu=1
nj=32
train_set=train_960_trim_sp
train_dev=dev
recog_set="test_clean test_other dev_clean dev_other"
preprocess_config=conf/specaug.yaml
nbpe=5000
skip_lm_training=false
n_average=10
use_valbest_average=true

configure() {
    parts="dev-clean dev-other test-clean test-other train-clean-100"
    [[ ${train_set} != train_960* ]] || parts+=" train-clean-360 train-other-500"
}
fetch() { fetch_corpus.py --datadir "${datadir}" --has "$1" --archive "${2##*/}" \
    --url "https://www.openslr.org/resources/$2"; }
part() { fetch "$1/*/*/*.trans.txt" "12/$1.tar.gz"; }
lm_text() { fetch librispeech-lm-norm.txt.gz 11/librispeech-lm-norm.txt.gz; }
lm_sentences() { zcat "$(lm_text)/librispeech-lm-norm.txt.gz"; }
download() { for name in ${parts}; do part "${name}"; done; [ "${skip_lm_training}" = true ] || lm_text; }
data_prep() {
    local name found
    for name in ${parts}; do
        found=$(part "${name}") # alone, so that its failure counts
        data_prep.py "${found}/${name}" data
    done
    combine_data.sh data/dev data/dev_{clean,other}
    [[ ${train_set} != train_960* ]] || combine_data.sh data/train_{960,clean_100,clean_360,other_500}
}
main "$@"
