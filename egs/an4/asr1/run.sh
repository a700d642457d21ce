#!/usr/bin/env bash
# AN4 (CMU, 1991): 78 speakers spell names and say dates and numbers, about an hour.
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

verbose=1
ngpu=1
nj=8
dev_utts=100
recog_set="train_dev test"
train_config=conf/train_mtlalpha1.0.yaml
decode_config=conf/decode_ctcweight1.0.yaml
recog_model=model.loss.best
skip_lm_training=false
use_wordlm=true
an4_root=                      # folder of the unpacked corpus; empty: below DATADIR
data_url=http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz # where it is
data_url2=https://huggingface.co/datasets/espnet/an4/resolve/main/an4_sphere.tar.gz # else

corpus() {
    fetch_corpus.py --datadir "${an4_root:-${datadir}}" --has etc/an4_train.transcription \
        --archive an4_sphere.tar.gz --url "${data_url}" "${data_url2}"
}
download() { corpus; }
data_prep() {
    local found
    found=$(corpus) # alone, so that its failure counts
    data_prep.py "${found}" data
}

main "$@"
