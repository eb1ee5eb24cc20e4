# SPDX-License-Identifier: MIT
"""What each machine cannot do, and the verdict on a selftest that knows it.

`expected/MACHINE.json` maps a test to the steps that are impossible on that machine,
`expected/kernel-tests.json` a program of the kernel's own tests to what it must come to:
how many tests it has at least, and those that it skips or that fail, with the reason.
The lists are exact: a listed step that passes is a failure as much as an unlisted one
that doesn't, so a list can never hide more than it says.
"""

import json
import re
from pathlib import Path

STEPS = ("open", "identity", "regions", "config space", "map", "DMA out", "DMA in", "verify",
         "interrupt", "DMA outside the mapping is blocked", "DMA after unmap is blocked",
         "dirty pages", "reset", "release")
FOLDER = Path(__file__).parent / "expected"


def load(machine, folder=FOLDER):
    """The list of one machine, checked: {test: {step: "impossible"}}."""
    table = json.loads((folder / f"{machine}.json").read_text())
    for test, steps in table.items():
        for step, result in steps.items():
            if step not in STEPS or result != "impossible":
                raise ValueError(f"expected/{machine}.json: {test}: '{step}': '{result}' is not "
                                 "a step of the selftest marked impossible")
    return table


def judge(report, backend, impossible):
    """Why a selftest's report isn't what it must be; empty when it is."""
    try:
        got = [(step["name"], step["result"], step["why"]) for step in report["steps"]]
        used = report["backend"]
    except (KeyError, TypeError) as error:
        return f"the report lacks {error}"
    if used != backend:
        return f"backend is '{used}', not '{backend}'"
    names = tuple(name for name, _, _ in got)
    if names != STEPS:
        return f"steps are {', '.join(names)}; they must be {', '.join(STEPS)}"
    wrong = []
    for name, result, why in got:
        due = impossible.get(name, "pass")
        if result == due:
            continue
        detail = f" ({why})" if why else ""
        if due == "impossible":
            wrong.append(f"'{name}' is listed as impossible here, but the result is "
                         f"{result}{detail}")
        else:
            wrong.append(f"'{name}': {result}{detail}")
    return "; ".join(wrong)


def tests_of(program, folder=FOLDER):
    """What a program of the kernel's tests must come to, and which of its tests don't pass:
    {"tests": N, "skip": {pattern: why}, "fail": {pattern: why}}, with regular expressions."""
    table = json.loads((folder / "kernel-tests.json").read_text())
    entry = {"tests": 0, "skip": {}, "fail": {}, **table.get(program, {})}
    if (set(entry) != {"tests", "skip", "fail"} or entry["tests"] < 1
            or not all([*entry["skip"].values(), *entry["fail"].values()])):
        raise ValueError(f"expected/kernel-tests.json: {program}: not a number of tests, and "
                         "the skipped and failing ones with their reasons")
    return entry


def judge_tests(program, parsed, status, folder=FOLDER):
    """([(test, pass or fail, why)], why the program as a whole isn't as it must be).

    A test that is listed passes when it does what the list says, and only then.
    """
    results, planned = parsed
    entry = tests_of(program, folder)
    listed = [(pattern, result) for result in ("skip", "fail") for pattern in entry[result]]
    unused = {pattern for pattern, _ in listed}
    verdicts = []
    for name, result, why in results:
        due = "pass"
        for pattern, other in listed:
            if re.fullmatch(pattern, name):
                due = other
                unused.discard(pattern)
        if result == due:
            verdicts.append((name, "pass", ""))
        else:
            verdicts.append((name, "fail", f"it must {due}; the result is {result} {why}"))
    failed = any(result == "fail" for _, result, _ in results)
    if planned != len(results):
        return verdicts, f"{planned} tests were planned, {len(results)} reported"
    if len(results) < entry["tests"]:
        return verdicts, f"{len(results)} tests ran; there were {entry['tests']}"
    if unused:
        return verdicts, f"listed, but no such test: {', '.join(sorted(unused))}"
    if failed != (status != 0):
        return verdicts, f"exit status {status}, which isn't what its tests say"
    return verdicts, ""
