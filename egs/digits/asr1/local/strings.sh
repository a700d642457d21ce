# shellcheck shell=bash disable=SC2154  # run.sh has the variables
# The stages of the two corpora, sourced by run.sh: strings of digits in wav files under
# ${strings}, and what is said in them.

recordings() {
    fetch_corpus.py --datadir "${datadir}" --has recordings/0_jackson_0.wav \
        --archive free-spoken-digit-dataset-1.0.10.tar.gz fsdd.tar.gz --url \
        https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz
}
download() {
    if [ "${corpus}" = espeak ]; then
        mkdir -p data/local
        synthesize.py "${strings}"
    else
        recordings
    fi
}
data_prep() {
    local found
    if [ "${corpus}" = fsdd ]; then
        found=$(recordings) # alone, so that its failure counts
        join_fsdd.py "${found}" "${strings}"
    fi
    data_prep.py "${strings}" data "${corpus}"
}
