#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of docs/performance.md about mapping on a kernel's IOMMU.

It is made of what weir bench map printed in the machines when they ran last; those that have such
cases must all be there: tests/vm/run.py runs them. Machines rarely differ, since what is counted
isn't in the kernel; where they do, the table has the least and the most.
"""

import json
import re
import sys

import cases
from cases_bench import rows_of
from machines import MACHINES
from results import TOP, Missing, generate, read

PERFORMANCE = TOP / "docs/performance.md"
TABLE = re.compile(r"(?ms)^<!-- python3 tests/vm/bench\.py .*?^```\n.*?^```\n")
CASES = ("bench-map-iommufd", "bench-map-type1v2")
WAYS = ("type1v2", "iommufd", "iommufd file")


def counted(build, name):
    """(kernel release, [row]) of one machine."""
    wanted = {case.name for case in cases.of_machine(MACHINES[name])
              if case.name in CASES}
    reader = read(build, name)
    rows = []
    for case in sorted(wanted):
        outcome = reader.outcomes.get(case)
        if not outcome or outcome.status:
            raise Missing(f"{name} has no result of {case}: "
                          f"run python3 tests/vm/run.py '{name}/bench-map-*'")
        rows += json.loads(outcome.stdout)
    return reader.release, rows


def span(numbers):
    """All that there are, in a cell."""
    low, high = min(numbers), max(numbers)
    return f"{low:.0f}" if low == high else f"{low:.0f}-{high:.0f}"


def cells(found, way, memory):
    """System calls and instructions of one way to map such memory, and what the instructions are
    without weir."""
    name = f"{way}, {memory}"
    ioctls, instructions = found[name, "ioctls"], found[name, "instructions"]
    others = [int(re.sub(r"\D", "", row["note"] or "0")) for row in ioctls]
    calls = span([row["value"] for row in ioctls])
    return (f"{calls}+{span(others)}" if any(others) else calls,
            span([row["value"] for row in instructions]),
            span([row["bare"] for row in instructions]))


def table(rows):
    """Of all machines' rows."""
    found = {}
    for row in rows:
        found.setdefault((row["case"], row["unit"]), []).append(row)
    memories = [name.partition(", ")[2] for name, _, _ in rows_of("type1v2")]
    columns = ("CALLS", "INSTRUCTIONS", "BARE")
    lines = [("", *columns * len(WAYS))]
    lines += [(memory, *(cell for way in WAYS for cell in cells(found, way, memory)))
              for memory in memories]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rows = [(memory.ljust(widths[0]), *map(str.rjust, line, widths[1:]))
            for memory, *line in lines]
    ways = " " * widths[0]
    for number, way in enumerate(WAYS):
        part = widths[1 + number * len(columns):][:len(columns)]
        ways += " " + way.rjust(sum(part) + len(part) - 1)
    return "\n".join([ways, *map(" ".join, rows)])


def text(build):
    """The table with what says where it is from."""
    names = [name for name, machine in MACHINES.items()
             if any(case.name in CASES for case in cases.of_machine(machine))]
    runs = {name: counted(build, name) for name in names}
    kernels = sorted({release for release, _ in runs.values()})
    return ("<!-- python3 tests/vm/bench.py --write, on Linux "
            f"{', '.join(kernels)}:\n     {', '.join(names)} -->\n```\n"
            f"{table([row for _, rows in runs.values() for row in rows])}\n```\n")


if __name__ == "__main__":
    sys.exit(generate(__doc__, PERFORMANCE, TABLE, text))
