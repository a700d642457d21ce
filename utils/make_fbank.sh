#!/usr/bin/env bash
# Log mel energies of a data directory, as speech synthesis uses them. (Those of Kaldi, for
# recognition, are made by steps/make_fbank.sh.) --help lists the options.
# shellcheck disable=SC2034 # lib_sounds.sh reads the variables

set -euo pipefail
kind=fbank
flags=(fmin fmax n_mels)
fmin=
fmax=
n_mels=80
own_help="
  --fmin HZ, --fmax HZ         lowest and highest frequency; none: 0 and half the rate
  --n-mels N                   bands (${n_mels})"
# shellcheck source=utils/lib_sounds.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_sounds.sh"
