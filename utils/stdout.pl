#!/usr/bin/env python3
"""As run.pl, but the output of the jobs also goes to the terminal."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.jobs.launcher import launch
from espnet.jobs.local import run_local_echo

if __name__ == "__main__":
    launch(run_local_echo)
