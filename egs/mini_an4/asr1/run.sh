#!/usr/bin/env bash
# Seven utterances of AN4: shows within a minute that everything works, not how well.
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

verbose=1
dev_utts=2
recog_set="train_dev test"
nbpe=30
recog_model=model.loss.best
n_average=2
use_valbest_average=true
an4_root=                      # folder of the unpacked corpus; empty: below DATADIR

corpus() {
    fetch_corpus.py --datadir "${an4_root:-${datadir}}" --has etc/an4_train.transcription \
        --archive downloads.tar.gz mini_an4.tar.gz --url \
        https://github.com/espnet/espnet/raw/master/egs/mini_an4/asr1/downloads.tar.gz
}
download() { corpus; }
data_prep() {
    local found
    found=$(corpus) # alone, so that its failure counts
    data_prep.py "${found}" data
}

main "$@"
