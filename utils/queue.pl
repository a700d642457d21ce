#!/usr/bin/env python3
"""Run a command, or numbered copies of it, as jobs of Grid Engine."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.jobs.launcher import launch
from espnet.jobs.sge import run_sge

if __name__ == "__main__":
    launch(run_sge)
