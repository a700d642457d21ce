#!/usr/bin/env bash
# Split a data directory into N parts. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" split_data.sh "$@"
