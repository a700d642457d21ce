#!/usr/bin/env bash
# Filter bank features of a Kaldi data directory; --help lists the options.

set -euo pipefail
fbank_config=conf/fbank.conf
kind=fbank
config_options=(fbank_config)
own_help="  --fbank-config FILE          options of compute-fbank-feats (${fbank_config})"
# shellcheck source=utils/steps/extract_features.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/extract_features.sh"
