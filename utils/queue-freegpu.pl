#!/usr/bin/env python3
"""As queue.pl, but each job takes --gpu idle GPUs of the machine that it gets."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.jobs.launcher import launch
from espnet.jobs.sge import run_sge_free_gpu

if __name__ == "__main__":
    launch(run_sge_free_gpu)
