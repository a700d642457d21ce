#!/usr/bin/env bash
# Magnitude spectra of a data directory; --help lists the options.
# shellcheck disable=SC2034 # lib_sounds.sh reads the variables

set -euo pipefail
kind=stft
program=compute-stft-feats.py
flags=(fs n_fft n_shift win_length window normalize verbose)
fs=
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
  --n-fft N, --n-shift N       length of the transform (${n_fft}), step between frames (${n_shift})
  --win-length N               length of the window; none: n-fft
  --window hann|hamming        its shape (${window})
  --filetype mat|hdf5          kind of archive (${filetype})
  --verbose N                  1: logs say what is done (${verbose})"
# shellcheck source=utils/lib_sounds.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/lib_sounds.sh"
