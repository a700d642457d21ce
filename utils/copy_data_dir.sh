#!/usr/bin/env bash
# Copy a data directory, with other names if wanted. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" copy_data_dir.sh "$@"
