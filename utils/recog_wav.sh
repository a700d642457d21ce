#!/usr/bin/env bash
# recog_wav.sh --models model.zip|exp/<name> [options] <wav>
# Text, word times and n-best of a recording of any length; recog_wav.sh --help.

set -euo pipefail
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/recog_wav.py" "$@"
