#!/usr/bin/env bash
# TED-LIUM release 2: TED talks, 207 hours to train on (public, 34 GB).
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

ngpu=1
nj=32
train_set=train_trim_sp
train_dev=dev_trim
recog_set="dev test"
preprocess_config=conf/specaug.yaml
nbpe=500
maxframes=2000
skip_lm_training=false
n_average=10
use_valbest_average=true

corpus() {
    fetch_corpus.py --datadir "${datadir}" --has TEDLIUM.152k.dic \
        --archive TEDLIUM_release2.tar.gz --url \
        https://www.openslr.org/resources/19/TEDLIUM_release2.tar.gz
}
download() { corpus; }
data_prep() {
    local found
    found=$(corpus) # alone, so that its failure counts
    data_prep.py "${found}" data
}
lm_suffix() { echo "_${bpemode}${nbpe}"; }
lm_sentences() { cat data/local/lm_sentences.txt; }

main "$@"
