#!/usr/bin/env bash
# MFCC features of a Kaldi data directory; --help lists the options.

set -euo pipefail
mfcc_config=conf/mfcc.conf
kind=mfcc
config_options=(mfcc_config)
own_help="  --mfcc-config FILE           options of compute-mfcc-feats (${mfcc_config})"
# shellcheck source=utils/steps/extract_features.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/extract_features.sh"
