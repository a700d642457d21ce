#!/usr/bin/env bash
# show_result.sh [--mindepth 0] [--maxdepth 1] [exp]: error rates of all experiments as
# Markdown tables, for a RESULTS.md.

set -euo pipefail
if [ -f ./path.sh ] && [ -z "${MAIN_ROOT:-}" ]; then
    set +u # recipes' own files may look at unset variables
    # shellcheck source=/dev/null
    . ./path.sh
    set -u
fi
exec python3 "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/show_result.py" "$@"
