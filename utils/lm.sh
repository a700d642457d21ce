# shellcheck shell=bash
# shellcheck disable=SC2034  # lmtag and lm_options are for asr.sh
# shellcheck disable=SC2154  # asr.sh, which sources this, has the other variables
# The language model of a recogniser: its options, stage 3, and what stage 5 passes on.

option_files+=("${BASH_SOURCE[0]}")

skip_lm_training=true          # decode without a language model
use_wordlm=false               # of words, not of the dictionary's characters or sub-words
lm_config=conf/lm.yaml         # options of lm_train.py
lm_vocabsize=100               # words in the list of a word model
lmtag=                         # name for it; empty: after its config
lm_resume=                     # snapshot to continue from; empty: the newest one, if any

# Checks the options and names what follows from them.
lm_names() {
    want_number lm_vocabsize
    lm_options=()
    if [ "${skip_lm_training}" = true ]; then
        lmtag=nolm
        return
    fi
    if [ "${stage}" -le 3 ] && [ "${stop_stage}" -ge 3 ]; then
        check_gpu "${ngpu}" --ngpu
        want_file lm_config
    fi
    [ -z "${nbpe}" ] || [ "${use_wordlm}" = false ] || die "option --use-wordlm: a model of" \
        "words needs a dictionary of characters; use --use-wordlm false with --nbpe"
    if [ -z "${lmtag}" ]; then
        lmtag=$(stem "${lm_config}")
        [ "${use_wordlm}" = false ] || lmtag+=_word${lm_vocabsize}
    fi
    lmexpname=train_rnnlm_${backend}_${lmtag}$(lm_suffix)
    lm_text=data/local/lm_train$(lm_suffix)
    lm_dict=${dict}
    lm_options=(--rnnlm "exp/${lmexpname}/rnnlm.model.best")
    if [ "${use_wordlm}" = true ]; then
        lm_text=data/local/wordlm_train
        lm_dict=${lm_text}/wordlist_${lm_vocabsize}.txt
        lm_options=(--word-rnnlm "exp/${lmexpname}/rnnlm.model.best")
    fi
}

# A recipe may print what tells its models of other dictionaries apart, such as _bpe500.
lm_suffix() { :; }

# A recipe may print more sentences to train on than the transcripts are.
lm_sentences() { :; }

# lm_tokens: sentences, as the language model reads them.
lm_tokens() {
    local options=()
    [ -z "${nlsyms}" ] || options=(-l "${nlsyms}")
    if [ "${use_wordlm}" = true ]; then
        cat
    elif [ -n "${nbpe}" ]; then
        spm_encode --model="${bpe_model}.model"
    else
        text2token.py -n 1 "${options[@]}" | sed "s/^ //"
    fi
}

train_lm() {
    if [ "${skip_lm_training}" = true ]; then
        echo "this recipe decodes without a language model (--skip-lm-training false: with)"
        return
    fi
    mkdir -p "${lm_text}"
    {
        cut -d ' ' -f 2- "data/${train_set}/text"
        lm_sentences
    } | lm_tokens > "${lm_text}/train.txt"
    cut -d ' ' -f 2- "data/${train_dev}/text" | lm_tokens > "${lm_text}/valid.txt"
    cut -d ' ' -f 2- "data/${recog_set##* }/text" | lm_tokens > "${lm_text}/test.txt"
    [ "${use_wordlm}" = false ] \
        || text2vocabulary.py -s "${lm_vocabsize}" -o "${lm_dict}" "${lm_text}/train.txt"
    echo "to watch: tail -f exp/${lmexpname}/train.log"
    training_job "exp/${lmexpname}/train.log" \
        "${python}" -m espnet.bin.lm_train --config "${lm_config}" --ngpu "${ngpu}" --backend "${backend}" \
        --verbose 1 --outdir "exp/${lmexpname}" --resume "${lm_resume}" \
        --tensorboard-dir "tensorboard/${lmexpname}" --dict "${lm_dict}" \
        --train-label "${lm_text}/train.txt" --valid-label "${lm_text}/valid.txt" \
        --test-label "${lm_text}/test.txt"
    sed -n '/^best: /p' "exp/${lmexpname}/train.log"
}
