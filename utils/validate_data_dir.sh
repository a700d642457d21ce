#!/usr/bin/env bash
# Check a data directory. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" validate_data_dir.sh "$@"
