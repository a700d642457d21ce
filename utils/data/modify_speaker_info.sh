#!/usr/bin/env bash
# Write a data directory whose speakers have few utterances. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/../data_dir.py" modify_speaker_info.sh "$@"
