# shellcheck shell=bash
# Where recipes find commands and Python; to be sourced in the recipe's own folder.
MAIN_ROOT=$(cd ../../.. && pwd)
if [ -x "${MAIN_ROOT}/.venv/bin/python3" ] && [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
    export VIRTUAL_ENV=${MAIN_ROOT}/.venv # made by make; an active environment wins
    PATH=${VIRTUAL_ENV}/bin:${PATH}
fi
export MAIN_ROOT
export PATH="${PWD}/local:${MAIN_ROOT}/utils:${MAIN_ROOT}/utils/steps:${MAIN_ROOT}/espnet/bin:${PATH}"
export PYTHONPATH="${MAIN_ROOT}${PYTHONPATH:+:${PYTHONPATH}}"
export LC_ALL=C               # sort in the order that Kaldi's files have
export PYTHONIOENCODING=UTF-8 # whatever the locale
export OMP_NUM_THREADS=1      # jobs share the cores; training takes what it may
