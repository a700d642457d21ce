#!/usr/bin/env bash
# score_sclite_wo_dict.sh [options] <result-dir>: error rates of the texts of decoding
# results, without a dictionary. score_sclite_wo_dict.sh --help lists the options.
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/score_sclite_wo_dict.py" "$@"
