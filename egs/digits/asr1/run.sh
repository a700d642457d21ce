#!/usr/bin/env bash
# Connected digits, three to seven in a string. --corpus espeak: spoken here and now by the
# voices of eSpeak NG, tested on voices not heard in training; needs no network.
# --corpus fsdd: real recordings of the Free Spoken Digit Dataset, joined to strings.
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh
. local/strings.sh # download, data_prep

corpus=espeak                  # espeak or fsdd
train_set=                     # data directory to train on; empty: train_<corpus>
train_dev=                     # data directory to validate on; empty: dev_<corpus>
recog_set=                     # data directories to decode; empty: test_<corpus>
feats=fbank
fbank_config=                  # Kaldi options; empty: conf/fbank_<corpus>.conf
lmtag=                         # name for the language model; empty: lm_<corpus>
train_config=                  # options of asr_train.py; empty: conf/train_<corpus>.yaml
nbpe=29                        # so many that each digit is one piece
n_average=5

configure() {
    [[ ${corpus} =~ ^(espeak|fsdd)$ ]] \
        || die "option --corpus: '${corpus}' is none of espeak, fsdd"
    train_set=${train_set:-train_${corpus}}
    train_dev=${train_dev:-dev_${corpus}}
    recog_set=${recog_set:-test_${corpus}}
    fbank_config=${fbank_config:-conf/fbank_${corpus}.conf}
    train_config=${train_config:-conf/train_${corpus}.yaml}
    lmtag=${lmtag:-lm_${corpus}}
    strings=data/local/${corpus}
}

main "$@"
