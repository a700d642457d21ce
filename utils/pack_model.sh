#!/usr/bin/env bash
# pack_model.sh [options] exp/<name> | <train-conf> <decode-conf> <cmvn.ark> <model>
# One file with model, configs, CMVN, language model and checksums, for load() and
# recog_wav.sh. pack_model.sh --help lists the options.

set -euo pipefail
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/pack_model.py" "$@"
