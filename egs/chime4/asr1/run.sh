#!/usr/bin/env bash
# CHiME-4: a tablet with six microphones in buses, cafes, streets and pedestrian areas.
# Trains on its noisy recordings and on clean WSJ; decodes the track of one microphone.
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

chime4=                        # as chime4_data
chime4_data=                   # folder that has data/audio; empty: DATADIR/CHiME3
wsj0=                          # folder of the WSJ0 discs; empty: DATADIR/wsj0
wsj1=                          # folder of the WSJ1 discs; empty: DATADIR/wsj1
channels=5                     # microphones of the training recordings, each by itself
tracks=isolated_1ch_track      # folders of enhanced speech, below data/audio/16kHz or paths
ngpu=1
nj=32
train_set=tr05_multi_noisy_si284 # without _si284: no WSJ is needed
train_dev=dt05_multi_isolated_1ch_track
recog_set=                     # data directories to decode; empty: all of the tracks
nlsyms=conf/non_lang_syms.txt
skip_lm_training=false
use_wordlm=true
lm_vocabsize=65000
n_average=10

configure() {
    chime4_data=${chime4_data:-${chime4:-${datadir}/CHiME3}}
    wsj0=${wsj0:-${datadir}/wsj0} wsj1=${wsj1:-${datadir}/wsj1}
    recog_set=${recog_set:-$(for t in ${tracks}; do echo {dt,et}05_{real,simu}_"${t##*/}"; done | xargs)}
}
data_prep() {
    chime4_prep.py --channels "${channels}" --tracks "${tracks}" --wsj0 "${wsj0}" "${chime4_data}" data
    if [[ $(source_of "${train_set}") == *_si284 ]]; then
        wsj_prep.py --wsj0 "${wsj0}" --wsj1 "${wsj1}" data train_si284
        combine_data.sh data/tr05_multi_noisy_si284 data/{tr05_multi_noisy,train_si284}
    fi
}
lm_sentences() { [[ ${train_set} != *_si284* ]] || wsj_lm_text.py --wsj0 "${wsj0}" --wsj1 "${wsj1}"; }

main "$@"
