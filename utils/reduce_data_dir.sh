#!/usr/bin/env bash
# Take the utterances of a list out of a data directory. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" reduce_data_dir.sh "$@"
