#!/usr/bin/env bash
# data2json.sh [options] <data-dir> <dict>: the data.json of a Kaldi data directory.
# data2json.sh --help lists the options.

set -euo pipefail
if [ -f ./path.sh ]; then
    set +u # a recipe's own file may look at unset variables
    # shellcheck source=/dev/null
    . ./path.sh >&2
    set -u
fi
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/data2json.py" "$@"
