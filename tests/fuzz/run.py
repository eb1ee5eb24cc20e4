#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run one fuzz target for some seconds, from its own seeds, in a folder that goes away.

usage: run.py TARGET SECONDS FOLDER

An input that breaks something is kept in FOLDER. 'TARGET FILE' tries it again, with TMPDIR set to
an empty folder.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    target, seconds, kept = sys.argv[1:]
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="weir-fuzz-",
                                     dir=memory if memory.is_dir() else None) as folder:
        done = subprocess.run(
            [target, f"-max_total_time={seconds}", "-seed=1", "-timeout=20", "-max_len=16384",
             "-rss_limit_mb=2000", f"-artifact_prefix={kept}/{Path(target).name}-"],
            env=dict(os.environ, TMPDIR=folder), check=False)
    return done.returncode


sys.exit(main())
