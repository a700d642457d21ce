#!/usr/bin/env python3
"""Run a command, or numbered copies of it, on the machines in .queue/machines."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.jobs.launcher import launch
from espnet.jobs.ssh import run_ssh

if __name__ == "__main__":
    launch(run_ssh)
