#!/usr/bin/env bash
# update_json.sh [options] <json> <data-dir> <dict>: add the transcripts of a data directory
# to a data.json as one more output. update_json.sh --help lists the options.

set -euo pipefail
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/update_json.py" "$@"
