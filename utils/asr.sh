# shellcheck shell=bash
# shellcheck disable=SC2034  # many variables are for recipe.sh and for recipes
# shellcheck disable=SC2154  # train_cmd, cuda_cmd and decode_cmd come from cmd.sh
# shellcheck disable=SC2317  # functions are called by name
# Speech recognition: every option with its default, and every stage as a function. A
# recipe's run.sh sources it, gives other values and the functions download and data_prep,
# may define any function anew, and ends with `main "$@"`.

# shellcheck source=utils/recipe.sh
. recipe.sh
option_files=("${BASH_SOURCE[0]}")
# shellcheck source=utils/sets.sh
. sets.sh
# shellcheck source=utils/lm.sh
. lm.sh
# shellcheck source=utils/average.sh
. average.sh
# shellcheck source=utils/recogniser.sh
. recogniser.sh

# general
backend=pytorch                # only pytorch is built
stage=-1                       # first stage to run
stop_stage=100                 # last stage to run
ngpu=0                         # GPUs for training; 0 is the CPU
decode_ngpu=0                  # GPUs for each decoding job: 0 or 1
nj=2                           # parallel jobs for features and decoding
debugmode=1                    # 0: fast, 1: repeatable
dumpdir=dump                   # where normalised features go
N=0                            # if above 0: train on so many minibatches only (a trial)
verbose=0                      # 0: tables and warnings, 1: what happens, 2: details
python=python3                 # interpreter of training and decoding
resume=                        # snapshot to continue from; empty: the newest one, if any
seed=                          # of training; empty: that of the training config
tag=                           # name for the experiment; empty: after its configs

# data
datadir=downloads              # folder that holds the corpus or its archive
train_set=train_nodev          # data directory to train on
train_dev=train_dev            # data directory to validate on
recog_set="test"               # data directories to decode and score
dev_utts=0                     # cut train_dev: so many first ones of data/train; 0: no cut

# features
feats=fbank_pitch              # fbank_pitch or fbank
fbank_config=conf/fbank.conf   # Kaldi options of the filter banks
pitch_config=conf/pitch.conf   # Kaldi options of the pitch
do_delta=false                 # append deltas

# dictionary
nbpe=                          # sub-words in the dictionary; empty: characters
bpemode=unigram                # unigram or bpe
nlsyms=                        # file of symbols that are kept whole (not with nbpe)

# network
train_config=conf/train.yaml   # options of asr_train.py
preprocess_config=             # on-the-fly preprocessing of asr_train.py; empty: none

# decoding
decode_config=conf/decode.yaml # options of asr_recog.py
recog_model=model.acc.best     # file in results/ to decode with; given: no average

stages=(
    "-1 download     Data Download"
    " 0 prepare_data Data preparation"
    " 1 features     Feature Generation"
    " 2 dictionary   Dictionary and Json Data Preparation"
    " 3 train_lm     LM Preparation"
    " 4 train_asr    Network Training"
    " 5 decode       Decoding"
)

# Run when the options are known and before anything else: a recipe's own checks.
configure() { :; }
# A recipe gets its corpus in the first, and writes data/<set> in the second.
download() { :; }
data_prep() { die "this run.sh has no function data_prep that writes data/<set>"; }

# stem FILE: conf/train.v2.yaml -> train.v2
stem() {
    local name=${1##*/}
    echo "${name%.*}"
}

# Checks the options and names what follows from them.
names() {
    configure
    want_number ngpu decode_ngpu nj N dev_utts maxframes maxchars
    [ "${backend}" = pytorch ] || die "option --backend: '${backend}' is not built, only" \
        "pytorch is; leave the option out (the results are the same ones)"
    [[ ${feats} =~ ^fbank(_pitch)?$ ]] \
        || die "option --feats: '${feats}' is none of fbank_pitch, fbank"
    command -v "${python}" > /dev/null || die "option --python: there is no '${python}'"
    [ "${nj}" -gt 0 ] || die "option --nj must be 1 or more, got ${nj}"
    if [ "${stage}" -le 4 ] && [ "${stop_stage}" -ge 4 ]; then
        check_gpu "${ngpu}" --ngpu
        want_file train_config preprocess_config
    fi
    if [ "${stop_stage}" -ge 5 ]; then
        check_gpu "${decode_ngpu}" --decode-ngpu
        want_file decode_config
    fi

    bpe_model=data/lang_char/${train_set}_${bpemode}${nbpe}
    dict=data/lang_1char/${train_set}_units.txt
    json=data.json
    if [ -n "${nbpe}" ]; then
        dict=${bpe_model}_units.txt
        json=data_${bpemode}${nbpe}.json
    fi
    expname=${train_set}_${backend}_${tag}
    if [ -z "${tag}" ]; then
        expname+=$(stem "${train_config}")
        [ "${do_delta}" = false ] || expname+=_delta
        [ -z "${preprocess_config}" ] || expname+=_$(stem "${preprocess_config}")
    fi
    expdir=exp/${expname}
    lm_names
    average_names
}

# check_gpu COUNT OPTION: jobs that run on this machine need its GPU. (Asked first of
# nvidia-smi, which is quick; torch also knows others.)
check_gpu() {
    [ "$1" -gt 0 ] && [[ ${cuda_cmd} =~ ^(run|stdout).pl ]] || return 0
    nvidia-smi -L > /dev/null 2>&1 \
        || python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' \
        || die "option $2 is $1, but this machine has no CUDA device; use $2 0"
}

# feat_dir SET: where the normalised features and the json of a set are.
feat_dir() { echo "${dumpdir}/$1/delta${do_delta}"; }

prepare_data() {
    local set
    data_prep
    for set in $(prepared_sets); do
        validate_data_dir.sh --no-feats "data/${set}"
    done
}

features() {
    local set logs total options=(--cmd "${train_cmd}" --nj "${nj}")
    for set in $(prepared_sets); do
        make_features "${set}"
    done
    if [ "${dev_utts}" -gt 0 ]; then
        total=$(wc -l < data/train/feats.scp)
        subset_data_dir.sh --first data/train "${dev_utts}" "data/$(source_of "${train_dev}")"
        subset_data_dir.sh --last data/train $((total - dev_utts)) \
            "data/$(source_of "${train_set}")"
    fi
    for set in $(used_sets); do
        derive "${set}"
    done
    compute-cmvn-stats.py "scp:data/${train_set}/feats.scp" "data/${train_set}/cmvn.ark"
    for set in $(used_sets); do
        case ${set} in
            "${train_set}") logs=train ;;
            "${train_dev}") logs=dev ;;
            *) logs=recog/${set} ;;
        esac
        dump.sh "${options[@]}" --do_delta "${do_delta}" "data/${set}/feats.scp" \
            "data/${train_set}/cmvn.ark" "exp/dump_feats/${logs}" "$(feat_dir "${set}")"
    done
}

dictionary() {
    local set dir token_options=()
    if [ -n "${nbpe}" ]; then
        mkdir -p data/lang_char
        cut -d ' ' -f 2- "data/${train_set}/text" > data/lang_char/input.txt
        ${train_cmd} data/lang_char/spm_train.log \
            spm_train --input=data/lang_char/input.txt --vocab_size="${nbpe}" \
            --model_type="${bpemode}" --model_prefix="${bpe_model}" \
            --input_sentence_size=100000000
        token_options=(--bpecode "${bpe_model}.model")
    elif [ -n "${nlsyms}" ]; then
        token_options=(--nlsyms "${nlsyms}")
    fi
    make_dict.py "${token_options[@]}" "data/${train_set}/text" "${dict}"
    for set in $(used_sets); do
        dir=$(feat_dir "${set}")
        data2json.sh --nj "${nj}" "${token_options[@]}" --feat "${dir}/feats.scp" \
            --out "${dir}/${json}" "data/${set}" "${dict}"
    done
    echo "dictionary: $(wc -l < "${dict}") tokens in ${dict}"
}

# A recipe may train on a choice of the utterances: it sets train_json to a file of them.
choose_training() { :; }

train_asr() {
    local options=() train_json
    train_json=$(feat_dir "${train_set}")/${json}
    choose_training
    [ -z "${preprocess_config}" ] || options+=(--preprocess-conf "${preprocess_config}")
    [ -z "${seed}" ] || options+=(--seed "${seed}")
    keep_recogniser
    echo "to watch: tail -f ${expdir}/train.log"
    training_job "${expdir}/train.log" \
        "${python}" -m espnet.bin.asr_train --config "${train_config}" "${options[@]}" \
        --ngpu "${ngpu}" --backend "${backend}" --outdir "${expdir}/results" \
        --tensorboard-dir "tensorboard/${expname}" --debugmode "${debugmode}" \
        --dict "${dict}" --debugdir "${expdir}" --minibatches "${N}" \
        --verbose "${verbose}" --resume "${resume}" \
        --train-json "${train_json}" \
        --valid-json "$(feat_dir "${train_dev}")/${json}"
}

decode() {
    [ -d "${expdir}/results" ] || die "${expdir}/results: no such folder; train the" \
        "network first (stage 4), with the same --tag and --train-config"
    average
    [ -f "${expdir}/results/${recog_model}" ] || die "option --recog-model:" \
        "${expdir}/results has no '${recog_model}', only" \
        "$(cd "${expdir}/results" && echo model.*.best snapshot.*)"
    [ "${#lm_options[@]}" = 0 ] || [ -f "${lm_options[1]}" ] || die "${lm_options[1]}: no" \
        "such file; train the language model (stage 3), or use --skip-lm-training true"
    keep_recogniser -n
    each "${recog_set}" decode_set
    show_result.sh --maxdepth 0 "${expdir}" | sed -n '/^### /,$p'
    echo "reports:          ${expdir}/decode_*/{result.wrd.txt,report.html}"
    echo "training curves:  ${expdir}/results/*.png"
    [ ! -d "${expdir}/results/att_ws" ] || echo "attention plots:  ${expdir}/results/att_ws"
}

decode_set() {
    local features utts jobs dir options=()
    features=$(feat_dir "$1")
    dir=${expdir}/decode_$1_$(stem "${decode_config}")_${lmtag}
    utts=$(wc -l < "data/$1/text")
    jobs=$((nj < utts ? nj : utts))
    [ -z "${nbpe}" ] || options+=(--bpe "${nbpe}" --bpemodel "${bpe_model}.model")
    [ -z "${nlsyms}" ] || options+=(--nlsyms "${nlsyms}")
    rm -f "${dir}"/data.*json # of a run with more jobs
    splitjson.py --parts "${jobs}" "${features}/${json}"
    GLIBC_TUNABLES=${huge_pages} \
        ${decode_cmd} --gpu "${decode_ngpu}" "JOB=1:${jobs}" "${dir}/log/decode.JOB.log" \
        "${python}" -m espnet.bin.asr_recog --config "${decode_config}" --ngpu "${decode_ngpu}" \
        --backend "${backend}" --debugmode "${debugmode}" --verbose "${verbose}" \
        --recog-json "${features}/split${jobs}utt/${json%.json}.JOB.json" \
        --result-label "${dir}/data.JOB.json" --model "${expdir}/results/${recog_model}" \
        "${lm_options[@]}"
    score_sclite.sh --wer true "${options[@]}" "${dir}" "${dict}" > "${dir}/log/score.log"
    report.py --data "data/$1" "${dir}" >> "${dir}/log/score.log" || echo "no ${dir}/report.html" >&2
}
