#!/usr/bin/env bash
# Join data directories. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.py" combine_data.sh "$@"
