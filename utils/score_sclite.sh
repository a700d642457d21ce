#!/usr/bin/env bash
# score_sclite.sh [options] <result-dir> <dict>: error rates of decoding results.
# Joins data.*.json, writes ref.trn, hyp.trn and result.txt, with --wer true also
# ref.wrd.trn, hyp.wrd.trn and result.wrd.txt. score_sclite.sh --help lists the options.

set -euo pipefail
if [ -f ./path.sh ] && [ -z "${MAIN_ROOT:-}" ]; then
    set +u # recipes' own files may look at unset variables
    # shellcheck source=/dev/null
    . ./path.sh
    set -u
fi
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/score_sclite.py" "$@"
