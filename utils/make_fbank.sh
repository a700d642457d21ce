#!/usr/bin/env bash
# Log mel energies of a data directory, as speech synthesis uses them. (Those of Kaldi, for
# recognition, are made by steps/make_fbank.sh.) --help lists the options.
# shellcheck disable=SC2034 # lib_sounds.sh reads the variables

set -euo pipefail
kind=fbank
program=compute-fbank-feats.py
flags=(fs fmin fmax n_mels n_fft n_shift win_length window normalize verbose)
fs=
fmin=
fmax=
n_mels=80
n_fft=1024
n_shift=512
win_length=
window=hann
normalize=16
filetype=mat
compress=true
write_utt2num_frames=true
verbose=0
usage="Usage: $0 [options] DATA [LOGDIR [OUTDIR]]
  --fs HZ                      convert to this sampling rate; none: keep
  --fmin HZ, --fmax HZ         lowest and highest frequency; none: 0 and half the rate
  --n-mels N                   bands (${n_mels})
  --n-fft N, --n-shift N       length of the transform (${n_fft}), step between frames (${n_shift})
  --win-length N               length of the window; none: n-fft
  --window hann|hamming        its shape (${window})
  --filetype mat|hdf5          kind of archive (${filetype})
  --verbose N                  1: logs say what is done (${verbose})"
# shellcheck source=utils/lib_sounds.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_sounds.sh"
