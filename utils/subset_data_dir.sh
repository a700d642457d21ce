#!/usr/bin/env bash
# Take some utterances of a data directory. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" subset_data_dir.sh "$@"
