#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir's own cost, as a ratio to what the machine allows in the same run, has its limits.

They are about twice what a quiet machine shows (docs/performance.md), since this one may be
shared: what passes them was not measured, it wasn't made much worse.

usage: gate.py WEIR    prints TAP
"""

import json
import subprocess
import sys

LIMITS = {
    ("lookup", "4096 mappings"): 16,
    ("lookup", "4096, with length"): 22,
    ("lookup", "4096, dependent"): 5,
    ("lookup", "1000000 mappings"): 8,
    ("map", "4 KiB beside 4096"): 20,
    ("map", "4 KiB beside 1000000"): 20,
    ("map", "8 KiB, 8192 holes of 4 KiB"): 60,
    ("map", "2 MiB beside 4096"): 32,
    ("map", "1 GiB beside 4096"): 25,
}


def main():
    run = subprocess.run([sys.argv[1], "bench", "--json"], capture_output=True, text=True,
                         check=True)
    ratios = {(row["bench"], row["case"]): row["ratio"] for row in json.loads(run.stdout)}
    print(f"1..{len(LIMITS) + 1}")
    for number, (case, limit) in enumerate(LIMITS.items(), 1):
        ratio = ratios.get(case)
        good = ratio is not None and ratio <= limit
        print(f"{'ok' if good else 'not ok'} {number} - {case[0]}: {case[1]}")
        print(f"# ratio {ratio}, at most {limit}")
    unknown = set(ratios) - set(LIMITS)
    print(f"{'not ok' if unknown else 'ok'} {len(LIMITS) + 1} - every case has its limit")
    for case in unknown:
        print(f"# {case} has none")


main()
