#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples run on the software IOMMU, and say what they have to.

usage: examples.py DIR    the folder of the built ones; prints TAP
"""

import os
import re
import subprocess
import sys

# Name and arguments, the exit status, and what is said on stdout and on stderr, as patterns.
RUNS = (
    (("first",), 0, r"soft:edu fetched Hello, device\n", ""),
    (("share_stage2", "soft:edu", "soft:edu", "soft:edu"), 0,
     r"no nest parent here: a plain page table\n(soft:edu passed on: Hello, devices\n){3}", ""),
    (("share_stage2",), 2, "", r"share_stage2: usage: .*\n"),
    (("share_stage2", "soft:none"), 1, "", r"share_stage2: soft:none: .*\n"),
    (("dirty", "soft:edu"), 0,
     r"sent: all 64 pages\nsent: 7 14 21\nsent: 8 15\nsent: 9\nsent: nothing\n", ""),
    (("fault",), 2, "", r"fault: usage: .*\n"),
    # Without IOMMUFD, or since this IOMMU has none.
    (("fault", "soft:edu"), 1, "",
     r"fault: (/dev/iommu|soft:edu: the software IOMMU has paging tables alone).*\n"),
)


def main():
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("WEIR_")}
    print(f"1..{len(RUNS)}")
    for number, (argv, status, out, err) in enumerate(RUNS, 1):
        run = subprocess.run([os.path.join(sys.argv[1], argv[0]), *argv[1:]], text=True,
                             capture_output=True, env=environment, timeout=60, check=False)
        good = (run.returncode == status and re.fullmatch(out, run.stdout)
                and re.fullmatch(err, run.stderr))
        print(f"{'ok' if good else 'not ok'} {number} - {' '.join(argv)}")
        if not good:
            print("\n".join("# " + line for line in (run.stdout + run.stderr).splitlines()))


main()
