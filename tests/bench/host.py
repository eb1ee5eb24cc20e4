#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to look at a big machine, beside what people do without weir, in the same run.

The machine is a tree in memory (machine.py). "Shell loop" is what guides for passthrough tell
people to run: lspci for each device of each group. Its first lines are timed, and stand for all,
since each line costs the same. "lspci -nn" is one call for the whole machine.

usage: host.py WEIR            prints TAP: the ratios have their limits
       host.py --table WEIR    prints what docs/performance.md shows
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import machine

FUNCTIONS = 2000
LINES = 25
RUNS = 10       # the quickest counts: this machine may be shared

LOOP = """
for device in "$1"/sys/kernel/iommu_groups/*/devices/*; do
    group=${device%/devices/*}
    printf 'Group: %s  0000:%s  Driver: %s\\n' "${group##*/}" \\
        "$(lspci -O sysfs.path="$1/sys/bus/pci" -nns "${device##*/}")" \\
        "$(basename "$(readlink "$device/driver")")"
    n=$((n + 1))
    [ $n -lt "$2" ] || break
done
"""

LOOP_AT_LEAST = 20      # times slower than weir
# Each verb, and how many times the work of lspci at most; about twice what a quiet machine shows.
VERBS = {"list": 1.5, "list --json": 1.5, "groups": 2.5, "report": 15}


def cost(command, lines):
    """Seconds from start to end, and of work, of the quickest runs. Each prints as many lines."""
    took = work = float("inf")
    for _ in range(RUNS):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        took = min(took, time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        work = min(work, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if run.stdout.count("\n") < lines:
            raise SystemExit(f"{' '.join(command[:3])} prints too few lines")
    return took, work


def measure(weir, root):
    loop = cost(["sh", "-c", LOOP, "sh", root, str(LINES)], LINES)
    return {"shell loop": tuple(part / LINES * FUNCTIONS for part in loop),
            "lspci -nn": cost(["lspci", "-O", f"sysfs.path={root}/sys/bus/pci", "-nn"],
                              FUNCTIONS),
            **{f"weir {verb}": cost([weir, *verb.split(), "--root", root], FUNCTIONS)
               for verb in VERBS}}


def print_table(costs):
    loop = costs["shell loop"][0]
    print(f"{FUNCTIONS} FUNCTIONS        MS  MS OF WORK  LOOP/IT")
    for name, (took, work) in costs.items():
        print(f"{name:17} {1000 * took:8.1f} {1000 * work:11.1f} {loop / took:8.0f}")


def print_tap(costs):
    loop, lspci = costs["shell loop"][0], costs["lspci -nn"][1]
    print(f"1..{2 * len(VERBS)}")
    for i, (verb, most) in enumerate(VERBS.items()):
        name = f"weir {verb}"
        took, work = costs[name]
        print(f"{'ok' if loop / took >= LOOP_AT_LEAST else 'not ok'} {2 * i + 1} - {name}: loop")
        print(f"# {loop / took:.0f} times faster ({1000 * took:.1f} ms), at least {LOOP_AT_LEAST}")
        print(f"{'ok' if work / lspci <= most else 'not ok'} {2 * i + 2} - {name}: lspci")
        print(f"# {work / lspci:.2f} of its work, at most {most}")


def main():
    table, weir = sys.argv[1] == "--table", sys.argv[-1]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="weir-bench-", dir=memory)
    try:
        machine.build(f"{folder}/root", FUNCTIONS)
        (print_table if table else print_tap)(measure(weir, f"{folder}/root"))
    finally:
        shutil.rmtree(folder)


if len(sys.argv) not in (2, 3):
    raise SystemExit(__doc__.rsplit("\n\n", 1)[1].strip())
main()
