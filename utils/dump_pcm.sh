#!/usr/bin/env bash
# Store the sounds of a data directory, cut by its segments; --help lists the options.
# shellcheck disable=SC2034 # lib_sounds.sh reads the variables

set -euo pipefail
kind=pcm
program=dump-pcm.py
flags=(format keep_length preprocess_conf)
format=
keep_length=true
preprocess_conf=
filetype=mat
compress=false
write_utt2num_frames=false
verbose=2
own_help="
  --filetype KIND              mat, hdf5, sound.hdf5 or sound (${filetype})
  --format wav|flac|ogg|sph    of sounds; none: wav, in sound.hdf5 flac
  --preprocess-conf FILE       transforms that are applied first
  --keep-length true|false     give what they make its old length (${keep_length})"
# shellcheck source=utils/lib_sounds.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_sounds.sh"
