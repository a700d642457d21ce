#!/usr/bin/env bash
# VIVOS: Vietnamese sentences read aloud, 15 hours to train on (public, 1.4 GB).
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

ngpu=1
nj=8
dev_utts=100
recog_set="train_dev test"
preprocess_config=conf/specaug.yaml
skip_lm_training=false
use_wordlm=true
lm_vocabsize=7000
n_average=10

corpus() {
    fetch_corpus.py --datadir "${datadir}" --has train/prompts.txt \
        --archive vivos.tar.gz --url \
        https://ailab.hcmus.edu.vn/assets/vivos.tar.gz \
        https://huggingface.co/datasets/AILAB-VNUHCM/vivos/resolve/main/data/vivos.tar.gz
}
download() { corpus; }
data_prep() {
    local found
    found=$(corpus) # alone, so that its failure counts
    data_prep.py "${found}" data
}

main "$@"
