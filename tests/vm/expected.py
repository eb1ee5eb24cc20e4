# SPDX-License-Identifier: MIT
"""What each machine cannot do, and the verdict on a selftest that knows it.

`expected/MACHINE.json` maps a test to the steps that are impossible on that machine.
The list is exact: a listed step that passes is a failure as much as an unlisted one
that doesn't, so the list can never hide more than it says.
"""

import json
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
