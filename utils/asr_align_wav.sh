#!/usr/bin/env bash
# asr_align_wav.sh --models model.zip|exp/<name> [options] <wav> <text or file>
# Where each line of a text is said in a recording; asr_align_wav.sh --help.

set -euo pipefail
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/asr_align_wav.py" "$@"
