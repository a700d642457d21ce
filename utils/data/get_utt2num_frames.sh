#!/usr/bin/env bash
# Write utt2num_frames of a data directory. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/../data_dir.py" get_utt2num_frames.sh "$@"
