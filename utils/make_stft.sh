#!/usr/bin/env bash
# Magnitude spectra of a data directory; --help lists the options.
# shellcheck disable=SC2034 # lib_sounds.sh reads the variables

set -euo pipefail
kind=stft
flags=()
own_help=
# shellcheck source=utils/lib_sounds.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_sounds.sh"
