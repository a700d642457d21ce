#!/usr/bin/env bash
# Filter bank and pitch features of a Kaldi data directory; --help lists the options.

set -euo pipefail
fbank_config=conf/fbank.conf
pitch_config=conf/pitch.conf
# shellcheck disable=SC2034 # read by its name
pitch_postprocess_config=
paste_length_tolerance=2
kind=fbank_pitch
config_options=(fbank_config pitch_config pitch_postprocess_config)
own_help="  --fbank-config FILE          options of compute-fbank-feats (${fbank_config})
  --pitch-config FILE          options of compute-kaldi-pitch-feats (${pitch_config})
  --pitch-postprocess-config FILE  options of process-kaldi-pitch-feats (Kaldi's defaults)
  --paste-length-tolerance N   frames by which the two may differ (${paste_length_tolerance})"
# shellcheck source=utils/steps/extract_features.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/extract_features.sh"
