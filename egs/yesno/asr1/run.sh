#!/usr/bin/env bash
# yesno: one man says "yes" or "no" eight times in each of 60 recordings (public, 8 kHz).
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

feats=fbank
dev_utts=3
# three recordings to validate on do not tell which epoch is the best
n_average=10
mixed=56                       # utterances to make of the training set's words

configure() { want_number mixed; }
corpus() {
    fetch_corpus.py --datadir "${datadir}" --has 0_0_0_0_1_1_1_1.wav \
        --archive waves_yesno.tar.gz --url \
        https://www.openslr.org/resources/1/waves_yesno.tar.gz
}
download() { corpus; }
data_prep() {
    local found
    found=$(corpus) # alone, so that its failure counts
    data_prep.py --mixed "${mixed}" --dev "${dev_utts}" "${found}" data
}

main "$@"
