#!/usr/bin/env bash
# Make a data directory with faster or slower audio. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" perturb_data_dir_speed.sh "$@"
