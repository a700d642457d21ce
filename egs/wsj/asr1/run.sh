#!/usr/bin/env bash
# WSJ (LDC93S6A or B, LDC94S13A or B): newspapers read aloud, 81 hours to train on.
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

wsj0=                          # folder of the discs 11-1.1 to 11-15.1; empty: DATADIR/wsj0
wsj1=                          # folder of the discs 13-1.1 to 13-34.1; empty: DATADIR/wsj1
seed=1
preprocess_config=conf/no_preprocess.yaml
ngpu=1
nj=32
train_set=train_si284
train_dev=test_dev93
recog_set="test_dev93 test_eval92"
nlsyms=data/lang_1char/non_lang_syms.txt
skip_lm_training=false
use_wordlm=true
lm_vocabsize=65000
n_average=10
min_io_delta=4                 # to train on: input frames beyond labels x subsampling, at least

configure() {
    want_number min_io_delta
    wsj0=${wsj0:-${datadir}/wsj0} wsj1=${wsj1:-${datadir}/wsj1}
}
data_prep() {
    # shellcheck disable=SC2046  # the sets are words
    wsj_prep.py --wsj0 "${wsj0}" --wsj1 "${wsj1}" --nlsyms "${nlsyms}" data $(prepared_sets)
}
lm_sentences() { wsj_lm_text.py --wsj0 "${wsj0}" --wsj1 "${wsj1}"; }
choose_training() {
    filtering_samples.py --config "${train_config}" --mode-subsample asr --data-json "${train_json}" \
        --preprocess-conf "${preprocess_config}" --min-io-delta "${min_io_delta}" \
        --output-json-path "${expdir}/train.json"
    train_json=${expdir}/train.json
}

main "$@"
