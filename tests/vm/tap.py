# SPDX-License-Identifier: MIT
"""Lines of the Test Anything Protocol, as cmocka and the kernel write them, become verdicts."""

import re

LINE = re.compile(r"^(ok|not ok) (\d+)(?: - (\S+)(.*)| # SKIP ?(.*))$")
GROUP = re.compile(r"^# (not )?ok - ")
KERNEL_LINE = re.compile(r"^(ok|not ok) (\d+) (\S+)(?:\s+# (SKIP|XFAIL|XPASS)\b\s*(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)\s*$")


def parse(text):
    """([(test, result, why)], how many tests the program planned)."""
    results = []
    planned = 0
    for line in text.splitlines():
        line = line.strip()
        plan = PLAN.match(line)
        match = LINE.match(line)
        if plan:
            planned += int(plan[1])
        elif match and match[5] is not None:
            # cmocka 1.1 writes "not ok N # SKIP test": skipped all the same.
            results.append((match[5].strip() or f"test-{match[2]}", "skip",
                            "the program says SKIP"))
        elif match:
            result = "pass" if match[1] == "ok" else "fail"
            results.append((match[3], result, match[4].strip() if result == "fail" else ""))
        elif GROUP.match(line):
            continue
        elif line.startswith("#") and results and results[-1][1] == "fail":
            name, result, why = results[-1]
            results[-1] = (name, result, f"{why} {line[1:].strip()}".strip())
    return _distinct(results), planned


def parse_kernel(text):
    """The same of what tools/testing/selftests/kselftest_harness.h prints."""
    results = []
    planned = 0
    for line in text.splitlines():
        plan = PLAN.match(line)
        match = KERNEL_LINE.match(line)
        if plan:
            planned += int(plan[1])
        elif match and match[4] == "SKIP":
            results.append((match[3], "skip", match[5]))
        elif match:
            result = "pass" if match[1] == "ok" else "fail"
            results.append((match[3], result, ""))
    return _distinct(results), planned


def _distinct(results):
    """Two groups of one program may hold tests of the same name: number the later ones."""
    seen = {}
    distinct = []
    for name, result, why in results:
        seen[name] = seen.get(name, 0) + 1
        distinct.append((name if seen[name] == 1 else f"{name}#{seen[name]}", result, why))
    return distinct


def missing(results, planned):
    """Why the count is wrong; empty when every planned test has its line."""
    if not planned:
        return "the program printed no TAP plan (1..N)"
    if planned != len(results):
        return f"{planned} tests were planned, {len(results)} reported"
    return ""
