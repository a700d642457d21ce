#!/usr/bin/env bash
# Drop the utterances that are too long or too short. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" remove_longshortdata.sh "$@"
