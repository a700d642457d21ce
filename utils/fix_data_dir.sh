#!/usr/bin/env bash
# Make the tables of a data directory agree. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" fix_data_dir.sh "$@"
